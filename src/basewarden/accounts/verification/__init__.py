"""Verifying an email address, and changing it."""
