"""An extension is in an exposed schema."""
