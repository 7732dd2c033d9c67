"""An extension has a newer version on the server."""
