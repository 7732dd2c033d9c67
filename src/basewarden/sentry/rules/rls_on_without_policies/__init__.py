"""Row level security is on, and no policy lets anyone in."""
