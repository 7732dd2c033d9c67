"""A view shows the accounts of all users."""
