"""Exporting a person's data and deleting the account."""
