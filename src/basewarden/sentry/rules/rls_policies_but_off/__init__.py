"""A table has policies, and row level security is off."""
