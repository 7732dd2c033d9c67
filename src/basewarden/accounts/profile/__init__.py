"""The account's overview: profile, settings page and activity."""
