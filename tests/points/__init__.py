"""Tests of the points service."""
