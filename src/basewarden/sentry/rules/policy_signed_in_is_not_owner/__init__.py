"""A policy asks whether a caller is signed in, and not whose row it is."""
