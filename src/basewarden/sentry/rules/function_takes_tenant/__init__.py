"""A function with its owner's rights believes the caller who they are."""
