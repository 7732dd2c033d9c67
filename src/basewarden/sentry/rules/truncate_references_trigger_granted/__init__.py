"""Rights that row level security does not hold back are granted."""
