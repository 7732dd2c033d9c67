"""Refusals of ours on the data road; what PostgreSQL and PostgREST refuse keeps their own codes."""

from basewarden.errors import AppError, Conflict, Forbidden, Unavailable


class ReadOnly(Forbidden):
    code = "read_only"
    message = "This access is for reading only."


class TableDenied(Forbidden):
    code = "table_denied"
    message = "This token has no access to that table."


class FilterRequired(AppError):
    status = 400
    code = "filter_required"
    message = "An agent's update or delete needs a filter."


class RowLimit(Forbidden):
    code = "row_limit"
    message = "This write changes more rows than the token allows, so none was changed."


def cascade_denied() -> TableDenied:
    """Without a name: a token is not shown what it may not touch."""
    return TableDenied(
        "A foreign key would change rows of a table that this token may not touch, so nothing was changed.",
        hint="Ask the owner to add that table to the token, or change those rows otherwise first.",
    )


def row_limit(limit: int) -> RowLimit:
    return RowLimit(details={"limit": limit}, hint="Narrow the filter, or ask the owner for a higher limit.")


class NotCaptured(Forbidden):
    code = "capture_unsupported"
    message = "Changes made this way cannot be recorded, so they are not let through."


class CaptureNotVisible(Forbidden):
    code = "capture_blind"
    message = "The connection's own role cannot see every row of this table, so the change could not be recorded."

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str = "Connect with the table's owner or a role that bypasses row security.",
    ) -> None:
        super().__init__(message, hint=hint)


class BodiesHeld(Unavailable):
    code = "too_many_bodies"
    message = "Too many large bodies are being received at once, so this one was not read. Try again."


class WriteTooLarge(AppError):
    """Raised in place of `answer_too_large`, which a client would take for a word about what it reads."""

    status = 413
    code = "write_too_large"
    message = "The rows of this write are too large to be recorded at once, so nothing was changed."


class WriteConflict(AppError):
    status = 409
    code = "write_conflict"
    message = "Rows changed while they were being written. Nothing was changed; try again."


class PartlyWritten(AppError):
    """Only where a project's own API is all there is: a transaction would have been rolled back."""

    status = 409
    code = "partly_written"
    message = "Others kept changing some of these rows, so only the others were written. The session shows which."


class RollbackUnsupported(AppError):
    status = 400
    code = "rollback_unsupported"
    message = "A write cannot be tried and rolled back over a project's own API, so nothing was done."


class UpstreamUnavailable(Unavailable):
    """Nothing was sent, or nothing of it can have been carried out."""

    code = "upstream_unavailable"
    message = "The project's own API cannot be reached, so nothing was done. Try again."


class OutcomeUnknown(AppError):
    """The request went out and no whole answer came back."""

    status = 502
    code = "outcome_unknown"
    message = "The project's own API did not answer to the end, so it is not known whether this was done."


class UpstreamTimeout(UpstreamUnavailable):
    """Only of what reads."""

    status = 504
    code = "upstream_timeout"
    message = "The project's own API did not answer in time."


class UpstreamInvalid(UpstreamUnavailable):
    """Only of what reads."""

    status = 502
    code = "upstream_invalid"
    message = "The project's own API gave no answer that can be used."


class UpstreamKeyRefused(UpstreamUnavailable):
    """Not the caller's fault: it is the connection's key that the project does not take."""

    status = 502
    code = "upstream_refused"
    message = "The project refused the key of this connection."


class UpstreamLimited(UpstreamUnavailable):
    status = 429
    code = "upstream_limited"
    message = "The project refuses more requests for now. Wait a little."


class NeedsPostgres(Conflict):
    code = "needs_postgres"
    message = "This is done in the database itself, and this connection has no Postgres address."


class SchemaNotExposed(Forbidden):
    code = "schema_untold"
    message = "The project does not tell its tables to the key of this connection."


class RoleUnsupported(Forbidden):
    code = "role_unsupported"
    message = "This token has a role or claims of its own, which the project's API cannot be given."
