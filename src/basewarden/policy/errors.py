"""What a request is refused with for what its caller may not do. The messages name no setting of the policy."""

from collections.abc import Iterable, Sequence
from math import ceil

from basewarden.errors import AppError, Forbidden, TooMany
from basewarden.policy.names import format_function, format_table
from pgrest import ColumnName, Name


class ReadOnly(Forbidden):
    code = "read_only"
    message = "This access is read-only."


class TableDenied(Forbidden):
    code = "table_denied"
    message = "This token has no access to that table."


class FilterRequired(AppError):
    status = 400
    code = "filter_required"
    message = "An agent's update or delete needs a filter."


class RowLimit(Forbidden):
    code = "row_limit"
    message = "This write would change more rows than the token allows. Nothing was changed."


class BudgetExceeded(TooMany):
    code = "budget_exceeded"
    message = "This token has used up its rows of this hour. Nothing was changed."

    @classmethod
    def after(cls, seconds: float, limit: int) -> "BudgetExceeded":
        return cls(details={"limit": limit}, headers={"Retry-After": str(max(1, ceil(seconds)))})


class ColumnDenied(Forbidden):
    code = "column_denied"
    message = "This token may not use that column in this way."


class EgressBlocked(Forbidden):
    """`reads` are what the token has read; they are for people, and the message names none of them."""

    code = "egress_blocked"
    message = "After what this token has read, it may not write there. Nothing was changed; a person must decide."

    def __init__(self, reads: Sequence[ColumnName]) -> None:
        super().__init__()
        self.reads = tuple(sorted(reads))


def write_denied(columns: Iterable[str] = ()) -> ColumnDenied:
    """Where the database's answer would depend on a column that is hidden; `columns` are those that were sent."""
    sent = sorted(columns)
    return ColumnDenied(
        "The database would compare this write with a column that this token may not see. Nothing was changed.",
        details={"denied": sent} if sent else None,
    )


def table_denied(name: Name, *, is_function: bool = False) -> TableDenied:
    """Repeats a name that the request itself sent."""
    return TableDenied(details={"denied": [format_function(name) if is_function else format_table(name)]})


def table_read_only(name: Name) -> ReadOnly:
    return ReadOnly("This token may only read that table.", details={"denied": [format_table(name)]})


def filter_required() -> FilterRequired:
    return FilterRequired(hint="Add a filter, for example ?id=eq.1.")


def row_limit(limit: int) -> RowLimit:
    return RowLimit(details={"limit": limit}, hint="Narrow the filter, or ask the owner for a higher limit.")


def cascade_denied() -> TableDenied:
    """Without a name: a token is not shown what it may not touch."""
    return TableDenied(
        "A foreign key would change rows of a table that this token may not change. Nothing was changed.",
        hint="Ask the owner to add that table to the token, or change those rows first.",
    )


def cascade_read_only(name: Name) -> ReadOnly:
    return ReadOnly(
        "A foreign key would change rows of a table that this token may only read. Nothing was changed.",
        details={"denied": [format_table(name)]},
        hint="Ask the owner to let the token write to that table, or to change those rows first.",
    )
