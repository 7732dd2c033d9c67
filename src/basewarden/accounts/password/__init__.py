"""Signing up and in with a password, and changing it."""
