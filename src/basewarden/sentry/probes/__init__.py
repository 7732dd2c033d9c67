"""Tries what strangers and users could do with rows that are not theirs, in transactions that are rolled back."""
