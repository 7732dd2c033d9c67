"""Executes an undo in one transaction on the project's PostgreSQL."""
