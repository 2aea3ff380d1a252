"""The rules of customers: pure functions over frozen state."""
