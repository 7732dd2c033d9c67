"""From a plan to SQL: names are quoted, values become parameters, and the one row of the answer is read."""
