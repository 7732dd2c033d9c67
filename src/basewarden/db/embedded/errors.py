"""What can go wrong with the embedded PostgreSQL."""

from basewarden.errors import StartError


class EmbeddedError(StartError):
    """Raised if the embedded PostgreSQL cannot be used; the text is one sentence for the operator."""
