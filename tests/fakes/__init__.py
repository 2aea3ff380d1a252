"""Fakes: each runs behind the same behaviour suite as the real thing."""
