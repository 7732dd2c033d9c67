"""Refusals of ours on the data road; what PostgreSQL and PostgREST refuse keeps their own codes."""

from basewarden.errors import AppError, Forbidden


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


class RowLimit(AppError):
    status = 400
    code = "row_limit"
    message = "This write changes more rows than the token allows, so none was changed."


class NotCaptured(Forbidden):
    code = "capture_unsupported"
    message = "Changes made this way cannot be recorded, so they are not let through."


class CaptureBlind(Forbidden):
    code = "capture_blind"
    message = "The connection's own role cannot see every row of this table, so the change could not be recorded."

    def __init__(self) -> None:
        super().__init__(hint="Connect with the table's owner or a role that bypasses row security.")


class CaptureRaced(AppError):
    status = 409
    code = "write_conflict"
    message = "Rows changed while they were being written. Nothing was changed; try again."
