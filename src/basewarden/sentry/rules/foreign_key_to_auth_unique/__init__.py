"""A foreign key rests on an index of auth that may change."""
