"""Decides what an undo does to each row."""
