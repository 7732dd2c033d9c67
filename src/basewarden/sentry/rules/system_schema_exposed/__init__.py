"""A schema that belongs to the system is exposed."""
