"""The forward backend: a project of which only its own REST API is known."""
