"""The direct backend: a project whose database is reached by its Postgres connection string."""
