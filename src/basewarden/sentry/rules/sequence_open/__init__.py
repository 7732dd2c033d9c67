"""Strangers may set the next number of sequences."""
