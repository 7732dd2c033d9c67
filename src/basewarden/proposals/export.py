"""The part of proposals in a person's data export: those that they decided, and those of connections that they own."""

from contextlib import aclosing
from typing import Any

from sqlalchemy import RowMapping

from basewarden.accounts import ExportPart, ExportRows, Person
from basewarden.connections import Role, list_openable_roles
from basewarden.db import ReadSession
from basewarden.proposals.queries import stream_proposals

_PROPOSAL = (
    "id",
    "connection_id",
    "agent_id",
    "agent_name",
    "label",
    "created_at",
    "expires_at",
    "status",
    "method",
    "path",
    "query",
    "headers",
    "verb",
    "schema_name",
    "table_name",
    "summary",
    "row_count",
    "tables",
    "after_reading",
    "changes",
    "uncaptured",
    "decided_name",
    "decided_at",
    "reason",
    "session_id",
    "result_status",
    "result_type",
    "failure_code",
    "failure",
)


async def _list_proposals(session: ReadSession, person: Person) -> ExportRows:
    roles = await list_openable_roles(session, person.id)
    owned = [connection_id for connection_id, role in roles.items() if role is Role.OWNER]
    async with aclosing(stream_proposals(session, (*_PROPOSAL, "decided_by"), person.id, owned)) as rows:
        async for row in rows:
            yield _hide_others(row, person)


def _hide_others(row: RowMapping, person: Person) -> dict[str, Any]:
    """What another member decided is theirs: only the status says so."""
    shown = {name: row[name] for name in _PROPOSAL}
    return shown if row["decided_by"] == person.id else {**shown, "decided_name": None, "reason": None}


PROPOSAL_PARTS = (
    ExportPart(
        "proposals",
        "proposals",
        _list_proposals,
        _PROPOSAL,
        {
            "body": "what the agent sent, as bytes; `changes` shows it",
            "result_body": "what the agent was answered, as bytes; `changes` shows it",
            "digest": "a hash of the request",
            "change_counts": "counts of `changes`",
            "reserve": "a counter",
            "is_computed": "whether the database itself computed `changes`",
            "made": "columns in which `changes` may differ when it is run",
            "decided_by": "always you, or another member",
            "xact": "the number of a transaction, which orders live events",
            "claimed_at": "when an approval that runs was last seen",
            "write_id": "its write in the journal, which `session_id` leads to",
        },
    ),
)
