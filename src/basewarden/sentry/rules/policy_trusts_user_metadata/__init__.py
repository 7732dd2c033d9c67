"""A policy believes what users write about themselves."""
