"""Faults: processes and servers that are killed, frozen, cut off or slow, and what must hold."""
