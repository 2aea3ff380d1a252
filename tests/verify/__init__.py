"""Verify, proven: damage that it must find, and healthy databases where it must find nothing."""
