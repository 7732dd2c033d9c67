"""Confirming the password again before a dangerous action."""
