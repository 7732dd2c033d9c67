"""The data API's own errors; those of PostgreSQL and PostgREST keep their codes."""

from basewarden.errors import AppError, Conflict, Forbidden, Unavailable


class NotCaptured(Forbidden):
    code = "capture_unsupported"
    message = "This kind of write cannot be recorded, so it was refused."


class CaptureNotVisible(Forbidden):
    code = "capture_blind"
    message = "The connection's login role cannot see every row of this table, so the write cannot be recorded."

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str = "Connect as the table's owner, or as a role that bypasses row level security.",
    ) -> None:
        super().__init__(message, hint=hint)


class BodiesHeld(Unavailable):
    code = "too_many_bodies"
    message = "The server is receiving too many large requests. Try again in a moment."


class WriteTooLarge(AppError):
    """Raised in place of `answer_too_large`, which a client would take for a word about what it reads."""

    status = 413
    code = "write_too_large"
    message = "The rows of this write are too large to be recorded together. Nothing was changed."


class WriteConflict(AppError):
    status = 409
    code = "write_conflict"
    message = "Another transaction changed the same rows. Nothing was changed; try again."


class PartlyWritten(AppError):
    """Only where a project's own API is all there is: a transaction would have been rolled back."""

    status = 409
    code = "partly_written"
    message = "Some of these rows kept changing, so only the other rows were written. The session shows which."


class RollbackUnsupported(AppError):
    status = 400
    code = "rollback_unsupported"
    message = "A project's API cannot roll back a write. Nothing was changed."


class UpstreamUnavailable(Unavailable):
    """Nothing was sent, or nothing of it can have been carried out."""

    code = "upstream_unavailable"
    message = "The project's API cannot be reached. Nothing was changed; try again."


class OutcomeUnknown(AppError):
    """The request went out and no whole answer came back."""

    status = 502
    code = "outcome_unknown"
    message = "The project's API stopped responding. The write may or may not have been applied."


class UpstreamTimeout(UpstreamUnavailable):
    """Only of what reads."""

    status = 504
    code = "upstream_timeout"
    message = "The project's API did not respond in time."


class UpstreamInvalid(UpstreamUnavailable):
    """Only of what reads."""

    status = 502
    code = "upstream_invalid"
    message = "The project's API sent an invalid response."


class UpstreamKeyRefused(UpstreamUnavailable):
    """Not the caller's fault: it is the connection's key that the project does not take."""

    status = 502
    code = "upstream_refused"
    message = "The project refused this connection's key."


class UpstreamLimited(UpstreamUnavailable):
    status = 429
    code = "upstream_limited"
    message = "The project is limiting requests. Wait a moment and try again."


class NeedsPostgres(Conflict):
    code = "needs_postgres"
    message = "This needs access to the database itself. Add a Postgres connection string to the connection."


class SchemaNotExposed(Forbidden):
    code = "schema_untold"
    message = "This connection's key may not list the project's tables."


class ColumnRulesUnsupported(Forbidden):
    code = "column_rules_unsupported"
    message = "This token has rules about columns, which cannot be kept through a project's API."


class RoleUnsupported(Forbidden):
    code = "role_unsupported"
    message = "This token has its own role or claims, which a project's API does not accept."
