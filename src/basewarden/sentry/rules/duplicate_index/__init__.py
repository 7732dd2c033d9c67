"""Several indexes of a table do the same."""
