"""Every signed-in user reads the rows of all others."""
