"""The toasts of the data pages: what a person has just saved, deleted or undone, with the button that takes it back.

The address that a save or an undo leads to names the write or the undo, so a toast needs neither script nor a cookie.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

from starlette.requests import Request

from basewarden.connections import Membership
from basewarden.core.addresses import table_path
from basewarden.core.back_paths import DONE_PARAMETERS, add_parameter, strip_parameters
from basewarden.core.brief import make_brief
from basewarden.core.ids import parse_id
from basewarden.core.row_labels import NAMES_JOIN
from basewarden.db import ReadSession
from basewarden.errors import AppError
from basewarden.gateway import NameSource, choose_names
from basewarden.journal import (
    JournalMutation,
    count_request_rows,
    find_member_write,
    list_session_rows,
    list_write_mutations,
    name_one_row,
    split_changed_columns,
)
from basewarden.undo import StoredReceipt, count_undo_depth, decode_receipt, find_undo, is_write_undone
from basewarden.web import read_target
from basewarden.workspace.table_client import TableClient, text_of
from pgrest import TextLimit

SHOWN_FOR = timedelta(minutes=15)
"""A bookmarked address offers no undo for ever."""
MAX_NAME = 48
_LONGEST_EQUAL = 12
"""Two values that begin with more equal characters are shown from where they differ on."""


@dataclass(frozen=True, slots=True)
class ValueChange:
    """`old` and `new` are brief texts, or None for null."""

    column: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class UndoToast:
    """`change` is shown after `text`. The button posts to `action` and comes back to `back`."""

    text: str
    action: str
    back: str
    button: Literal["Undo", "Redo"]
    change: ValueChange | None = None
    receipt_href: str | None = None
    note: str = ""


async def read_toasts(request: Request, member: Membership, client: TableClient, db: ReadSession) -> list[UndoToast]:
    """The toasts that the address of this page asks for."""
    here = read_target(request)
    found = []
    if (write_id := parse_id(request.query_params.get("written", ""))) is not None:
        found.append(await make_write_toast(member, client, db, write_id, here))
    if (undo_id := parse_id(request.query_params.get("undone", ""))) is not None:
        found.append(await _make_undo_toast(member, client, db, undo_id, here))
    return [toast for toast in found if toast is not None]


def find_back_path(request: Request, member: Membership, default: str) -> str:
    """The page that an htmx request comes from, if it is one of this connection."""
    try:
        current = urlsplit(request.headers.get("hx-current-url", ""))
    except ValueError:  # is no URL
        return default
    path = current.path + (f"?{current.query}" if current.query else "")
    return path if current.path.startswith(f"/c/{member.connection.id}/") else default


def add_write(path: str, client: TableClient, otherwise: str) -> str:
    """The path with the newest write, for its toast; `otherwise` is the query where the write is not one of its own."""
    if client.last_write is None:
        return f"{path}?{otherwise}"
    return add_parameter(path, "written", str(client.last_write))


async def make_write_toast(
    member: Membership, client: TableClient, db: ReadSession, write_id: UUID, here: str
) -> UndoToast | None:
    """None for a write that is not this person's, is old, or is undone already."""
    found = await find_member_write(db, member.connection.id, member.person.id, write_id)
    if found is None or datetime.now(UTC) - found[0].at > SHOWN_FOR:
        return None
    write, session = found
    if session.status == "undone" or await is_write_undone(db, session.id, write_id):
        return None
    rows = await list_write_mutations(db, write_id, limit=2)
    if not rows:
        return None
    count = await count_request_rows(db, write_id)
    action = f"/c/{member.connection.id}/sessions/{session.id}/undo?write={write_id}"
    back = strip_parameters(here, DONE_PARAMETERS)
    if rows[0].verb == "insert":  # an added row has no page after the undo
        table = table_path(member.connection.id, rows[0].schema, rows[0].table)
        back = table if back.startswith(f"{table}/") else back
    text, change = await _describe_write(client, rows[0], count, write.mutation_count - count)
    return UndoToast(text, action, back, "Undo", change)


async def _describe_write(
    client: TableClient, row: JournalMutation, count: int, cascaded: int
) -> tuple[str, ValueChange | None]:
    also = f", and {_count_rows(cascaded)} that referred to {'it' if count == 1 else 'them'}" if cascaded else ""
    if count != 1:
        verb = {"insert": "added", "delete": "deleted", "update": "changed"}[row.verb]
        return f"{_count_rows(count)} {verb}{also}", None
    name = await name_row(client, row)
    if row.verb != "update":
        return f"{name} {'added' if row.verb == 'insert' else 'deleted'}{also}", None
    changes = list_changes(row)
    if len(changes) == 1:
        return _name_value(changes[0], name), changes[0]
    return f"{name}: {_name_columns([change.column for change in changes])} changed{also}", None


async def _make_undo_toast(
    member: Membership, client: TableClient, db: ReadSession, undo_id: UUID, here: str
) -> UndoToast | None:
    undo = await find_undo(db, member.connection.id, undo_id)
    if undo is None or undo.user_id != member.person.id or undo.undo_state != "done" or undo.status == "undone":
        return None
    if datetime.now(UTC) - undo.last_seen_at > SHOWN_FOR:
        return None
    rows = await list_session_rows(db, undo_id, limit=2)
    is_redo = await count_undo_depth(db, undo_id) % 2 == 0
    receipt = decode_receipt(undo.receipt)
    text, change = await _describe_undo(client, rows, receipt, is_redo=is_redo)
    return UndoToast(
        text,
        f"/c/{member.connection.id}/sessions/{undo_id}/undo",
        strip_parameters(here, DONE_PARAMETERS),
        "Undo" if is_redo else "Redo",
        change,
        f"/c/{member.connection.id}/undos/{undo_id}",
        _note_kept(receipt),
    )


async def _describe_undo(
    client: TableClient, rows: list[JournalMutation], receipt: StoredReceipt, *, is_redo: bool
) -> tuple[str, ValueChange | None]:
    if len(rows) != 1:
        count = _count_rows(receipt.reverted)
        verb = "is" if receipt.reverted == 1 else "are"
        return f"{count} {verb} {'changed again' if is_redo else 'as before'}", None
    (row,) = rows
    name = await name_row(client, row)
    if row.verb != "update":
        return f"{name} is {'back' if row.verb == 'insert' else 'removed again'}", None
    changes = list_changes(row)
    if len(changes) == 1:
        return f"{'Redone' if is_redo else 'Undone'}: {_name_value(changes[0], name)}", changes[0]
    return f"{name} is {'changed again' if is_redo else 'as before'}", None


def _name_value(change: ValueChange, name: str) -> str:
    words = change.column.replace("_", " ").strip() or change.column
    return f"{words[:1].upper()}{words[1:]} of {name}"


def _note_kept(receipt: StoredReceipt) -> str:
    kept = receipt.skipped
    return f"{kept:,} newer edit{'' if kept == 1 else 's'} kept" if kept else ""


def list_changes(row: JournalMutation) -> list[ValueChange]:
    """The columns that differ: those that the write named, or all where it named none of them."""
    before, after = row.before_exact or {}, row.after_exact or {}
    named, derived = split_changed_columns(before, after, row.set_columns)
    return [
        ValueChange(make_brief(name, MAX_NAME), *_shorten_both(before.get(name), after[name]))
        for name in named or derived
    ]


async def name_row(client: TableClient, row: JournalMutation) -> str:
    """Its label before the write, or those of rows that it refers to; else the table and the key."""
    image = row.before_exact or row.after_exact or {}
    table = client.schema.find_table(row.schema, row.table)
    sources = choose_names(client.schema, table) if table is not None else ()
    labels = [label for source in sources if (label := await _find_label(client, source, image))]
    key = ", ".join(str(image.get(column)) for column in row.key_columns)
    return make_brief(NAMES_JOIN.join(labels) or name_one_row(row.table, key), MAX_NAME)


async def _find_label(client: TableClient, source: NameSource, image: dict[str, str | None]) -> str | None:
    if source.key is None:
        return image.get(source.column)
    key = source.read_key(image)
    if key is None or client.schema.find_table(*source.table.qualified) is None:
        return None
    try:
        found = await client.find_row(source.table, key, text_of(source.column), text_limit=TextLimit(MAX_NAME * 4))
    except AppError:
        return None
    label = found[source.column] if found else None
    return label if isinstance(label, str) else None


def _shorten(value: str | None) -> str | None:
    return None if value is None else make_brief(value)


def _shorten_both(old: str | None, new: str | None) -> tuple[str | None, str | None]:
    if old is None or new is None:
        return _shorten(old), _shorten(new)
    equal = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), 0)
    start = old.rfind(" ", 0, equal) + 1
    if start <= _LONGEST_EQUAL:
        return _shorten(old), _shorten(new)
    return f"…{_shorten(old[start:])}", f"…{_shorten(new[start:])}"


def _count_rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _name_columns(names: list[str]) -> str:
    if len(names) <= 2:
        return " and ".join(names)
    return f"{names[0]}, {names[1]} and {len(names) - 2} more"
