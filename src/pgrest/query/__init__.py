"""From an HTTP request to a plan: the request, its grammar, and what it means on a snapshot."""
