"""A function that strangers may call runs as a superuser."""
