"""A materialized view is readable, and row level security cannot apply."""
