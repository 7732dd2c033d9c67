"""Strangers reach the messages of a queue."""
