"""A project's own REST API: its address, its key, and a client that speaks HTTP to it."""
