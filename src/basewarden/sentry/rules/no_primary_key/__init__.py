"""A table has no primary key."""
