"""Realtime sends the rows of a table to everyone."""
