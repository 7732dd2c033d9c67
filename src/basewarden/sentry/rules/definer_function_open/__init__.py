"""A function that runs with its owner's rights can be called through the API."""
