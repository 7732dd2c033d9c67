"""A function that reaches the network or the server's files can be called through the API."""
