"""Strangers may make objects in an exposed schema."""
