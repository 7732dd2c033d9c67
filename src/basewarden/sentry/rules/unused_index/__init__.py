"""An index that no query has used."""
