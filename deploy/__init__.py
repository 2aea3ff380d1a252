"""How Laurel is run."""
