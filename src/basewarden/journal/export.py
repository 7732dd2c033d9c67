"""The journal's part of a person's data export: their own sessions, and those of agents on connections they own.

Sessions of other members are not exported, even on a connection that the person owns.
"""

from contextlib import aclosing

import msgspec

from basewarden.accounts import ExportPart, ExportRows, Person
from basewarden.connections import Role, list_openable_roles
from basewarden.db import ReadSession
from basewarden.journal import queries
from basewarden.journal.interventions.queries import stream_interventions
from basewarden.journal.refusals.queries import stream_refusals

_OF_SESSION = "its session's"
_OF_STREAMS = "the number of a transaction, which orders live events"
_YOU = "you, or an agent"

_SESSION = (
    "id",
    "connection_id",
    "kind",
    "agent_id",
    "caller_name",
    "label",
    "capture",
    "status",
    "started_at",
    "last_seen_at",
    "write_count",
    "undo_of",
    "undo_state",
    "receipt",
    "frozen_at",
    "frozen_reason",
)
_WRITE = (
    "id",
    "session_id",
    "at",
    "state",
    "settled_at",
    "verb",
    "schema_name",
    "table_name",
    "mutation_count",
    "tables",
    "summary",
    "unseen",
    "change_counts",
)
_REFUSAL = (
    "id",
    "connection_id",
    "agent_id",
    "agent_name",
    "session_id",
    "first_at",
    "at",
    "code",
    "method",
    "table_name",
    "summary",
    "count",
    "row_limit",
    "after_reading",
)
_INTERVENTION = (
    "id",
    "connection_id",
    "at",
    "action",
    "agent_id",
    "agent_name",
    "session_id",
    "user_name",
    "reason",
)
_MUTATION = (
    "write_id",
    "session_id",
    "position",
    "at",
    "schema_name",
    "table_name",
    "verb",
    "cause",
    "key_columns",
    "set_columns",
    "before",
    "after",
)


async def _list_sessions(session: ReadSession, person: Person, columns: tuple[str, ...] = _SESSION) -> ExportRows:
    roles = await list_openable_roles(session, person.id)
    owned = [connection_id for connection_id, role in roles.items() if role is Role.OWNER]
    async with aclosing(
        queries.stream_sessions_of_person(session, columns, person.id, member_of=list(roles), owned=owned)
    ) as rows:
        async for row in rows:
            yield row


async def _list_writes(session: ReadSession, person: Person) -> ExportRows:
    async with aclosing(_list_sessions(session, person, ("id",))) as owners:
        async for owner in owners:
            async with aclosing(queries.stream_writes(session, _WRITE, owner["id"])) as rows:
                async for row in rows:
                    yield row


async def _list_mutations(session: ReadSession, person: Person) -> ExportRows:
    """Images stay the JSON that PostgreSQL wrote, so that numerics keep all digits."""
    async with aclosing(_list_sessions(session, person, ("id",))) as owners:
        async for owner in owners:
            async with aclosing(queries.stream_mutations(session, _MUTATION, owner["id"])) as rows:
                async for row in rows:
                    yield {**row, "before": _raw(row["before"]), "after": _raw(row["after"])}


async def _list_refusals(session: ReadSession, person: Person) -> ExportRows:
    """Refusals of agents on connections that the person owns."""
    roles = await list_openable_roles(session, person.id)
    owned = [connection_id for connection_id, role in roles.items() if role is Role.OWNER]
    async with aclosing(stream_refusals(session, _REFUSAL, owned)) as rows:
        async for row in rows:
            yield row


async def _list_interventions(session: ReadSession, person: Person) -> ExportRows:
    """Theirs, and what limits did on connections that the person owns."""
    roles = await list_openable_roles(session, person.id)
    owned = [connection_id for connection_id, role in roles.items() if role is Role.OWNER]
    async with aclosing(stream_interventions(session, _INTERVENTION, person.id, owned)) as rows:
        async for row in rows:
            yield row


def _raw(image: str | None) -> msgspec.Raw | None:
    return msgspec.Raw(image.encode()) if image is not None else None


JOURNAL_PARTS = (
    ExportPart(
        "journalSessions",
        "journal_sessions",
        _list_sessions,
        _SESSION,
        {
            "user_id": _YOU,
            "caller_key": _YOU,
            "position": "a counter",
            "budget_from": "a counter",
            "row_count": "a counter",
            "rows_from": "a counter",
            "state_xact": _OF_STREAMS,
        },
    ),
    ExportPart(
        "journalWrites",
        "journal_writes",
        _list_writes,
        _WRITE,
        {
            "connection_id": _OF_SESSION,
            "xid": "the transaction's number in the other database",
            "settled_xact": _OF_STREAMS,
        },
    ),
    ExportPart(
        "journalMutations",
        "journal_mutations",
        _list_mutations,
        _MUTATION,
        {
            "id": "its session and position name it",
            "connection_id": _OF_SESSION,
            "row_key": "the key again; the images contain it",
            "new_row_key": "the key again; the images contain it",
            "before_exact": "the image again, as text for restoring a row",
            "after_exact": "the image again, as text for restoring a row",
        },
    ),
    ExportPart(
        "journalRefusals",
        "journal_refusals",
        _list_refusals,
        _REFUSAL,
        {
            "hour": "the hour of its first time",
            "kind_key": "code, method, table and session again",
            "xact": _OF_STREAMS,
        },
    ),
    ExportPart(
        "journalInterventions",
        "journal_interventions",
        _list_interventions,
        _INTERVENTION,
        {"user_id": "always you, or a limit", "xact": _OF_STREAMS},
    ),
)
