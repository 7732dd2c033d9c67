"""A grant on a column opens a sensitive one."""
