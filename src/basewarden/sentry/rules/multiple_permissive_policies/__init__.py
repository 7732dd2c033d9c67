"""Several permissive policies are asked for the same command."""
