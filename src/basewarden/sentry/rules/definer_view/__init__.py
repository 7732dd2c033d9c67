"""A view shows rows that row level security would hide."""
