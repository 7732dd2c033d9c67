"""A policy lets all rows be read by every caller."""
