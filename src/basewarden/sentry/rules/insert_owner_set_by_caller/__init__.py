"""Users add rows in the name of others."""
