"""One scan of a project: rules, probes, and what is kept of them."""
