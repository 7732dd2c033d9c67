"""A role of the API passes row level security by."""
