"""What stops a measurement, in a sentence."""


class BenchError(Exception):
    """A figure would be wrong or cannot be had; the text says why."""
