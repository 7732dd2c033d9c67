"""Small modules that know nothing of the rest of the program. Each is imported by its own name."""
