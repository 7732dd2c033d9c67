"""A function with its owner's rights looks names up where its caller says."""
