"""The API backend: a project that is reached through its own REST API."""
