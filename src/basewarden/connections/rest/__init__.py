"""A project's REST API: its address, its key, and an HTTP client for it."""
