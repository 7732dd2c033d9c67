"""The login of this connection is a superuser."""
