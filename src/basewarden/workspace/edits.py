"""Updates single rows without overwriting a concurrent change."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from basewarden.errors import AppError, Conflict
from basewarden.workspace.columns import encode_values, is_comparable
from basewarden.workspace.conditions import equals
from basewarden.workspace.errors import DataRefused
from basewarden.workspace.refused_values import Messages, Values, explain_refusal
from basewarden.workspace.table_client import Key, Row, TableClient, select_texts
from pgrest import Table


@dataclass(frozen=True, slots=True)
class Change:
    """The value that a person saw, and the new one."""

    before: str | None
    after: str | None


class EditConflict(Conflict):
    """`now` holds the current values of concurrently changed columns; None if the row was deleted."""

    code = "changed_meanwhile"
    message = "This row was changed by another write, so nothing was saved."

    def __init__(self, now: Row | None) -> None:
        super().__init__(None if now is not None else "This row was deleted, so nothing was saved.")
        self.now = now


class NotChanged(Conflict):
    code = "not_changed"
    message = "A row level security policy does not allow this change, so nothing was saved."


async def change_row(client: TableClient, table: Table, key: Key, changes: Mapping[str, Change]) -> Row:
    """Updates a row and returns its new values. Raises EditConflict or NotChanged, and then nothing was changed."""
    names = list(changes)
    body = encode_values(table, {name: change.after for name, change in changes.items()})
    uncomparable = [name for name in names if not is_comparable(table.columns[name])]
    if uncomparable:  # their types have no equality to check in the write, so they are read just before
        await _check_unchanged(client, table, key, changes)
    expected = [equals(name, changes[name].before) for name in names if name not in uncomparable]
    row = await client.update(table, key, expected, body, names)
    if row is not None:
        return row
    await _check_unchanged(client, table, key, changes)
    raise NotChanged


async def _check_unchanged(client: TableClient, table: Table, key: Key, changes: Mapping[str, Change]) -> None:
    now = await client.find_row(table, key, select_texts(list(changes)))
    if now is None:
        raise EditConflict(None)
    changed = {name: now[name] for name, change in changes.items() if now[name] != change.before}
    if changed:
        raise EditConflict(changed)


def list_refusals(error: AppError, table: Table | None = None, values: Values = MappingProxyType({})) -> Messages:
    """Returns error messages by column; "" = the row. `values` are those that were sent to the table."""
    if table is not None and isinstance(error, DataRefused) and (found := explain_refusal(table, values, error)):
        return found
    if isinstance(error, EditConflict) and error.now is not None:
        return dict.fromkeys(error.now, "Another write changed this value. Save again to replace it with yours.")
    if isinstance(error.details, list):
        return {item["field"]: item["message"] for item in error.details}
    return {"": f"{error.text} {error.hint}" if error.hint else error.text}
