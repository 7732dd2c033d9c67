"""A policy asks for each row who the caller is."""
