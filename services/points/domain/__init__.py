"""The rules of points: pure functions over frozen state."""
