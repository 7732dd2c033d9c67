"""The command palette finds pages, tables, rows, sessions and agents, and runs commands; `/search` needs no script."""
