"""Reads the history of a row from the journal."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from basewarden.db import ReadSession
from basewarden.journal import JournalMutation, encode_key, list_row_history
from basewarden.workspace.table_client import Key
from pgrest import Table

SHOWN = 50


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    at: datetime
    who: str
    kind: str
    session_href: str
    session_name: str
    verb: str
    cause: str | None
    state: str
    before: Mapping[str, str | None] | None
    after: Mapping[str, str | None] | None


async def read_history(db: ReadSession, connection_id: UUID, table: Table, key: Key) -> list[HistoryEntry]:
    """Lists the changes of a row, the newest first."""
    found = await list_row_history(db, connection_id, table.schema, table.name, encode_key(key), limit=SHOWN)
    return [
        HistoryEntry(
            at=view.mutation.at,
            who=session.caller_name,
            kind=session.kind,
            session_href=f"/c/{connection_id}/sessions/{session.id}",
            session_name=session.label or f"Session of {session.caller_name}",
            verb=view.mutation.verb,
            cause=_describe_cause(view.mutation),
            state=view.state,
            before=view.mutation.before_exact,
            after=view.mutation.after_exact,
        )
        for view, session in found
    ]


def _describe_cause(mutation: JournalMutation) -> str | None:
    return None if mutation.cause == "request" else f"by {mutation.cause}"
