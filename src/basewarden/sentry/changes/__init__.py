"""What the sentry changes in a project's database when a person asks for it, and how that is taken back."""
