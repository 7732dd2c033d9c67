"""A role of the API can log in to the database itself."""
