"""An API role owns a table, or can become its owner."""
