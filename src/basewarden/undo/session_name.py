"""What the pages of an undo call the session that is undone, or what is undone of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from basewarden.core.brief import make_brief
from basewarden.db import ReadSession
from basewarden.errors import NotFound
from basewarden.journal import VerbCount, describe_writes, find_session, sort_counts
from basewarden.undo.queries import count_undo_depth, find_undone_origin, list_writes
from basewarden.undo.receipt import count_rows


@dataclass(frozen=True, slots=True)
class SessionName:
    """`name` is the session's label, or its title; `is_redo`: it is an undo, so undoing it means doing it again."""

    title: str
    name: str
    caller: str
    kind: str
    is_redo: bool
    status: str
    own_tables: tuple[tuple[str, str], ...] = ()
    """Schema and name of the tables that the undone session wrote itself, the most important first."""


async def describe_session(db: ReadSession, connection_id: UUID, session_id: UUID) -> SessionName:
    found = await find_session(db, connection_id, session_id)
    if found is None:
        raise NotFound("There is no such session.")
    session = found.session
    depth = await count_undo_depth(db, session_id) if session.kind == "undo" else 0
    title = make_brief(found.title, 120)
    origin = found
    if session.kind == "undo":
        origin = await find_session(db, connection_id, await find_undone_origin(db, session_id)) or found
    return SessionName(
        title,
        make_brief(session.label) if session.label else title,
        session.caller_name,
        session.kind,
        depth % 2 == 1,
        session.status,
        _list_own_tables(origin.changes),
    )


def _list_own_tables(changes: Sequence[VerbCount]) -> tuple[tuple[str, str], ...]:
    """Empty where it is not known which tables were changed by foreign keys only."""
    if any(count.verb not in ("insert", "update", "delete") for count in changes):
        return ()
    own = (count for count in sort_counts(changes) if not count.is_cascade)
    return tuple(dict.fromkeys((count.schema, count.table) for count in own))


async def describe_target(db: ReadSession, session_id: UUID, writes: Sequence[UUID], rows: int) -> str:
    """Returns "1 write: added 1 message", or "1 row" of it; "" where the whole session is to be undone."""
    found = await list_writes(db, session_id, writes) if writes else []
    if not found:
        return ""
    text = describe_writes(found)
    if rows:
        return f"{count_rows(rows)} of 1 write"
    count = f"{len(found):,} write{'' if len(found) == 1 else 's'}"
    return f"{count}: {text[0].lower()}{text[1:]}" if text else count


def encode_writes(writes: Sequence[UUID], rows: Sequence[int] = ()) -> str:
    """The query of a page about some writes of a session, or about some rows of one."""
    pairs = [*(("write", str(write)) for write in writes), *(("row", str(row)) for row in rows)]
    return f"?{urlencode(pairs)}" if pairs else ""
