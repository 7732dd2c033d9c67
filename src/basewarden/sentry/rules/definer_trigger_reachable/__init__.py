"""A write through the API starts a trigger with its owner's rights."""
