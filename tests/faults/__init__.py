"""Crashes: real processes that kill themselves at each step, and what must hold afterwards."""
