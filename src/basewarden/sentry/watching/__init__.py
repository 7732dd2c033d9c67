"""Automatic scans: by schedule, and soon after the schema has changed."""
