"""The row security debugger: what the policies of a table mean, and what happens to a caller who tries."""
