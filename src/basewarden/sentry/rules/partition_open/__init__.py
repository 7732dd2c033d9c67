"""A part of a guarded table can be reached by its own name."""
