"""Customers: who is a member, and in which standing."""
