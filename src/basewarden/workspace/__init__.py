"""The data pages: a connection's tables, the grid, a row with its history, the command palette."""
