"""A policy that lets everyone in makes a strict one useless."""
