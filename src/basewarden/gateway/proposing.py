"""Makes a proposal of a write that was held back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from basewarden.gateway.api.foreseen_rows import foresee_changes
from basewarden.gateway.caller import Caller
from basewarden.gateway.recording.reviewing import WriteHeld
from basewarden.gateway.rest import RestCall
from basewarden.journal import RowChange, WriteEntry, count_changes, list_tables
from basewarden.policy import format_table
from basewarden.proposals import (
    ApprovalRequired,
    Proposals,
    ProposedWrite,
    StoredRequest,
    WritePins,
    check_row_count,
    list_made_columns,
)
from pgrest import Schema, split_query

_KEPT_HEADERS: Final = frozenset(
    {b"accept", b"accept-profile", b"content-profile", b"content-type", b"prefer", b"range", b"range-unit"}
)
"""The headers that bear on a write; all others stay with the request that was sent."""


class Proposer:
    """Stores what is held back. `origin` is where people open the proposal."""

    def __init__(self, proposals: Proposals, origin: str) -> None:
        self._proposals = proposals
        self._origin = origin

    async def propose(self, caller: Caller, call: RestCall, held: WriteHeld, schema: Schema | None) -> ApprovalRequired:
        """The error that the agent is answered. Raises what the proposal is refused with."""
        check_row_count(held.entry.positions)  # before anything is made of the rows
        proposal = await self._proposals.store(make_proposed_write(caller, call, held, schema))
        return ApprovalRequired(
            details={
                "proposalId": str(proposal.id),
                "url": f"{self._origin}/c/{caller.connection.id}/proposals/{proposal.id}",
                "expiresAt": proposal.expires_at.isoformat(),
            }
        )


def make_proposed_write(caller: Caller, call: RestCall, held: WriteHeld, schema: Schema | None) -> ProposedWrite:
    """Without a transaction, the rows after are computed from the request; `schema` is the project's, where known."""
    entry, is_computed = held.entry, held.entry.xid is None
    changes = (*_foresee(call, held, schema), *entry.cascaded) if is_computed else entry.changes
    made = {} if is_computed or schema is None else list_made_columns(changes, schema.tables, held.named)
    return ProposedWrite(
        connection_id=caller.connection.id,
        agent_id=caller.id,
        agent_name=caller.name,
        request=_store_request(call),
        verb=entry.verb,
        schema=entry.schema,
        table=entry.table,
        summary=entry.summary,
        pins=_make_pins(entry, changes, made),
        tables=list(dict.fromkeys([*entry.tables, *list_tables(changes)])),
        change_counts=count_changes(changes),
        after_reading=[format_table(table) for table in held.after_reading],
    )


def read_stored_request(request: StoredRequest) -> RestCall:
    """The request as it is run again."""
    return RestCall(
        request.method,
        request.path,
        request.query.encode("latin-1"),
        [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers],
        request.body,
        label=request.label,
    )


def read_write_pins(entry: WriteEntry) -> WritePins:
    """The rows of a write that is about to run."""
    return _make_pins(entry, (*entry.changes, *entry.cascaded), {})


def _make_pins(entry: WriteEntry, changes: Sequence[RowChange], made: Mapping[str, frozenset[str]]) -> WritePins:
    return WritePins(tuple(changes), entry.uncaptured, entry.positions, entry.xid is None, made)


def _store_request(call: RestCall) -> StoredRequest:
    return StoredRequest(
        call.method, call.path, call.query.decode("latin-1"), tuple(_list_headers(call)), call.body, call.label
    )


def _list_headers(call: RestCall) -> Iterable[tuple[str, str]]:
    return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in call.headers if name in _KEPT_HEADERS)


def _foresee(call: RestCall, held: WriteHeld, schema: Schema | None) -> tuple[RowChange, ...]:
    table = None if schema is None else schema.tables.get((held.entry.schema, held.entry.table))
    if table is None:
        return held.entry.changes
    asked = next((value for name, value in split_query(call.query) if name == "on_conflict"), None)
    conflict = table.primary_key if asked is None else tuple(name.strip(' "') for name in asked.split(","))
    return foresee_changes(held.entry, table, held.body, held.named, conflict)
