"""A function takes a right from what users write about themselves."""
