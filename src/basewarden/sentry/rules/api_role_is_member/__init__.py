"""A role of the API can become a role that may do more."""
