"""What is known of a database: the immutable snapshot, how it is read, and how it is found to be outdated."""
