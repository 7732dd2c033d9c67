"""A policy lets rows be written by every caller."""
