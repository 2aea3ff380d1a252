"""What services agree on: data and pure functions. Imports nothing of ours."""
