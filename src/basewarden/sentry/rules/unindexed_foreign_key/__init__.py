"""A foreign key has no index of its own."""
