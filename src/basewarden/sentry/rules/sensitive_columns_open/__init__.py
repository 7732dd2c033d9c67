"""Rows that are open to all show sensitive columns."""
