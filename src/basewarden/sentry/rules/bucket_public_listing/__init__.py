"""Strangers can list the files of a public bucket."""
