"""Measurements: how fast Laurel is on a machine, beside the least that the same work costs."""
