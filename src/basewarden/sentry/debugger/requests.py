"""What a person wants tried, checked against the table. No SQL is taken: values are bound, columns are known."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from basewarden.errors import Invalid
from basewarden.sentry.debugger.claims import read_claims
from basewarden.sentry.debugger.facts import DebuggedRole, DebuggedTable

MAX_ROW: Final = 20_000
"""Characters of a row as JSON."""


class TrialCommand(StrEnum):
    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class TrialWish:
    """As typed. `runs_code`: the person has read what a write runs, and wants it."""

    command: TrialCommand
    role: str
    user_id: str = ""
    claims: str = ""
    row: str = ""
    runs_code: bool = False


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """`row` is JSON of `columns` alone."""

    table: DebuggedTable
    command: TrialCommand
    role: DebuggedRole
    claims: Mapping[str, Any]
    columns: Sequence[str]
    row: str

    @property
    def reads_too(self) -> bool:
        """Whether the caller may choose the rows of a change or a delete, as the API's requests do."""
        return "select" in self.role.rights


def check_wish(table: DebuggedTable, wish: TrialWish) -> TrialRequest:
    """Raises Invalid."""
    role = table.find_role(wish.role)
    if role is None:
        raise Invalid.field("role", "Choose one of the roles that this connection may use.")
    if "\0" in wish.user_id:
        raise Invalid.field("userId", "It contains a character that PostgreSQL does not accept.")
    claims = read_claims(wish.claims, role.name, wish.user_id)
    columns = _read_row(table, wish)
    if wish.command is not TrialCommand.SELECT and table.runs_code(wish.command) and not wish.runs_code:
        raise Invalid.field("runsCode", "Read what this write runs, and confirm it.")
    row = wish.row if columns else "{}"
    return TrialRequest(table, wish.command, role, claims, columns, row)


def _read_row(table: DebuggedTable, wish: TrialWish) -> Sequence[str]:
    if wish.command not in (TrialCommand.INSERT, TrialCommand.UPDATE) or not wish.row.strip():
        return ()
    if len(wish.row) > MAX_ROW:
        raise Invalid.field("row", f"At most {MAX_ROW:,} characters.")
    try:
        row = json.loads(wish.row)
        wish.row.encode()
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict) or "\0" in wish.row:
        raise Invalid.field("row", 'Enter a JSON object, such as {"title": "Lamp"}.')
    unknown = [name for name in row if name not in table.columns_by_name]
    if unknown:
        raise Invalid.field("row", f"The table has no column {unknown[0][:100]}.")
    return tuple(row)
