"""A foreign table is reachable, and row level security cannot apply."""
