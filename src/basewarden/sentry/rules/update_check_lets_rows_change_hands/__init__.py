"""A row's new owner is not asked for when it is changed."""
