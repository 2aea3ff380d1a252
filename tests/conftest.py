"""What every test may ask for: real servers of the suite's own, and settings on them."""
