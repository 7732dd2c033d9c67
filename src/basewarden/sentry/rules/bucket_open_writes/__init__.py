"""Strangers can write files of a bucket."""
