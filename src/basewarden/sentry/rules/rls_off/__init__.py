"""Row level security is off on a table that the API's roles may use."""
