"""What the gateway and the journal decide without asking anybody: pure functions."""
