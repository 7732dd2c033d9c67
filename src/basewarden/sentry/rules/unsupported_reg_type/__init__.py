"""A column keeps the database from being upgraded."""
