"""What can go wrong with the embedded PostgreSQL."""

from basewarden.errors import StartError


class EmbeddedError(StartError):
    """The embedded PostgreSQL cannot be used; its text is one sentence for the operator."""
