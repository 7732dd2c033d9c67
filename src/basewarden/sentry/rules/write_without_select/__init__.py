"""Rows can be written by who may not read them."""
