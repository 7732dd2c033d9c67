"""Resetting a forgotten password by email."""
