"""What the gateway passes to proposals, and what is read of a stored one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from basewarden.journal import Image, JournalMutation, RowChange, UncapturedChanges, describe_change
from basewarden.proposals.models import Proposal
from basewarden.proposals.pins import WritePins

ProposalStatus = Literal["pending", "executed", "declined", "stale", "expired", "failed"]
STATUSES: tuple[ProposalStatus, ...] = ("pending", "executed", "declined", "stale", "expired", "failed")


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request as it is run again; `headers` are those that bear on a write, and none is a credential."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    label: str | None


@dataclass(frozen=True, slots=True)
class ProposedWrite:
    """A write that was held back. `pins` are its rows as they would be.

    `after_reading` are tables whose rows strangers may have written, and that the agent had read.
    """

    connection_id: UUID
    agent_id: UUID
    agent_name: str
    request: StoredRequest
    verb: str
    schema: str
    table: str
    summary: str
    pins: WritePins
    tables: Sequence[str]
    change_counts: Sequence[Mapping[str, Any]]
    after_reading: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """A proposal that an approval runs now, by the write that it is to be in the journal."""

    proposal: Proposal
    request: StoredRequest
    pins: WritePins
    write_id: UUID


@dataclass(frozen=True, slots=True)
class ProposalResult:
    """What the agent would have been answered; the body is None where it is too large to be kept."""

    status: int
    content_type: str | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class ProposalDetail:
    """A proposal with its row changes, as rows of the journal are shown; those have no write yet."""

    proposal: Proposal
    status: ProposalStatus
    rows: tuple[JournalMutation, ...] = field(default=())


def find_proposal_status(proposal: Proposal, now: datetime) -> ProposalStatus:
    """Finds the status to show: one that is being executed is pending until that is over."""
    if proposal.status == "pending" and proposal.expires_at <= now:
        return "expired"
    return "pending" if proposal.status == "executing" else msgspec.convert(proposal.status, ProposalStatus)


def read_request(proposal: Proposal, body: bytes) -> StoredRequest:
    headers = tuple((name, value) for name, value in proposal.headers)
    return StoredRequest(proposal.method, proposal.path, proposal.query, headers, body, proposal.label)


def encode_changes(changes: Iterable[RowChange]) -> list[dict[str, Any]]:
    """Encodes them as the journal encodes its row changes."""
    return [describe_change(change) for change in changes]


def read_pins(proposal: Proposal, changes: Iterable[Mapping[str, Any]]) -> WritePins:
    return WritePins(
        tuple(_read_change(change) for change in changes),
        msgspec.convert(proposal.uncaptured, tuple[UncapturedChanges, ...]),
        proposal.reserve,
        proposal.is_computed,
        {name: frozenset(columns) for name, columns in proposal.made.items()},
    )


def show_changes(proposal: Proposal, changes: Iterable[Mapping[str, Any]]) -> tuple[JournalMutation, ...]:
    """Makes rows of the journal of them, which are stored nowhere: what shows those can show these."""
    return tuple(_show_change(proposal, place, change) for place, change in enumerate(changes, 1))


def _show_change(proposal: Proposal, place: int, change: Mapping[str, Any]) -> JournalMutation:
    values = {_FIELDS.get(name, name): value for name, value in change.items()}
    return JournalMutation(
        id=place, at=proposal.created_at, connection_id=proposal.connection_id, position=place, **values
    )


_FIELDS = {"schema_name": "schema", "table_name": "table"}


def _read_change(change: Mapping[str, Any]) -> RowChange:
    set_columns = change["set_columns"]
    return RowChange(
        change["schema_name"],
        change["table_name"],
        change["verb"],
        tuple(change["key_columns"]),
        _read_image(change["before_exact"], change["before"]),
        _read_image(change["after_exact"], change["after"]),
        change["cause"],
        None if set_columns is None else tuple(set_columns),
    )


def _read_image(exact: Mapping[str, str | None] | None, shown: str | None) -> Image | None:
    return None if exact is None else Image(exact, (shown or "").encode())
