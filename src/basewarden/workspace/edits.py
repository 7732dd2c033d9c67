"""Writing single rows: a value that somebody else changed meanwhile is never overwritten unseen."""

from collections.abc import Mapping
from dataclasses import dataclass

from basewarden.errors import AppError, Conflict
from basewarden.workspace.columns import encode_values, is_comparable
from basewarden.workspace.conditions import equals
from basewarden.workspace.desk import Desk, Key, Row, select_texts
from pgrest import Table


@dataclass(frozen=True, slots=True)
class Change:
    """What a person saw, and what it shall be."""

    before: str | None
    after: str | None


class ChangedMeanwhile(Conflict):
    """`now` is what the columns hold that were changed; None where the row is gone."""

    code = "changed_meanwhile"
    message = "Somebody changed this meanwhile, so nothing was saved."

    def __init__(self, now: Row | None) -> None:
        super().__init__(None if now is not None else "This row was deleted meanwhile, so nothing was saved.")
        self.now = now


class NotChanged(Conflict):
    code = "not_changed"
    message = "The database let nothing through: a policy does not allow this change to the role in use."


async def change_row(desk: Desk, table: Table, key: Key, changes: Mapping[str, Change]) -> Row:
    """The new values of the changed columns. Raises ChangedMeanwhile or NotChanged, and then changed nothing."""
    names = list(changes)
    body = encode_values(table, {name: change.after for name, change in changes.items()})
    blind = [name for name in names if not is_comparable(table.columns[name])]
    if blind:  # such types have no equality that the write could check, so it is looked at just before
        await _check_unchanged(desk, table, key, changes)
    expected = [equals(name, changes[name].before) for name in names if name not in blind]
    row = await desk.update(table, key, expected, body, names)
    if row is not None:
        return row
    await _check_unchanged(desk, table, key, changes)
    raise NotChanged


async def _check_unchanged(desk: Desk, table: Table, key: Key, changes: Mapping[str, Change]) -> None:
    now = await desk.find_row(table, key, select_texts(list(changes)))
    if now is None:
        raise ChangedMeanwhile(None)
    moved = {name: now[name] for name, change in changes.items() if now[name] != change.before}
    if moved:
        raise ChangedMeanwhile(moved)


def list_refusals(error: AppError) -> dict[str, str]:
    """By the column they are about; "" = the row."""
    if isinstance(error, ChangedMeanwhile) and error.now is not None:
        return dict.fromkeys(error.now, "Changed meanwhile. Save again to put yours in its place.")
    if isinstance(error.details, list):
        return {item["field"]: item["message"] for item in error.details}
    return {"": f"{error.text} {error.hint}" if error.hint else error.text}
