"""GraphQL shows strangers what there is."""
