"""The grammar of PostgREST's query strings and headers, as hand-written recursive descent."""
