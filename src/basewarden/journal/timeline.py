"""Prepares a session for its page: its writes in order, each with the rows that it changed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from basewarden.db import ReadSession
from basewarden.journal import queries
from basewarden.journal.models import JournalMutation, JournalRefusal, JournalWrite
from basewarden.journal.refusals import list_session_refusals

WRITES_PER_PAGE = 50
ROWS_SHOWN = 20
ROWS_PER_PAGE = 200
REFUSALS_SHOWN = 200
REFUSAL_WORDS = {
    "read_only": "the token is read-only",
    "table_denied": "the table is not on the token's list",
    "filter_required": "an update or delete needs a filter",
    "row_limit": "the write would change too many rows",
    "session_frozen": "the session is frozen",
    "capture_unsupported": "this kind of write cannot be recorded",
    "capture_blind": "the connection's role cannot see every row",
}
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ShownMutation:
    """`cascade` names the foreign key that caused the change, unless the request itself did."""

    position: int
    verb: str
    table: str
    primary_key: Row
    before: Row | None
    after: Row | None
    state: str
    cascade: str | None
    href: str | None = None


@dataclass(frozen=True, slots=True)
class ShownWrite:
    id: UUID
    at: datetime
    request: str
    count: int
    mutations: tuple[ShownMutation, ...]
    more_href: str | None
    uncaptured: tuple[str, ...]
    state: str = "committed"


@dataclass(frozen=True, slots=True)
class ShownRefusal:
    """Refused requests of one kind; `at` is the time of the last of `count`."""

    at: datetime
    request: str
    code: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """One page of a session; the next one begins after `next_write` or `next_position`."""

    writes: tuple[ShownWrite, ...]
    next_write: UUID | None = None
    next_position: int | None = None
    refusals: tuple[ShownRefusal, ...] = ()

    @property
    def entries(self) -> list[ShownWrite | ShownRefusal]:
        """Returns writes and refusals in order of time."""
        return sorted([*self.writes, *self.refusals], key=lambda entry: entry.at)


async def read_timeline(db: ReadSession, session_id: UUID, path: str, after: UUID | None) -> Timeline:
    """Reads the first rows of each write; `path` is the session's page, which links to the rest."""
    writes = await queries.list_writes(db, session_id, limit=WRITES_PER_PAGE + 1, after=after)
    shown = writes[:WRITES_PER_PAGE]
    mutations = await queries.list_first_mutations(db, [write.id for write in shown], per_write=ROWS_SHOWN)
    by_write: dict[UUID, list[JournalMutation]] = {}
    for mutation in mutations:
        by_write.setdefault(mutation.write_id, []).append(mutation)
    lines = tuple(_show_write(write, by_write.get(write.id, []), path) for write in shown)
    next_write = shown[-1].id if len(writes) > WRITES_PER_PAGE else None
    refusals = await list_session_refusals(db, session_id, limit=REFUSALS_SHOWN)
    begins = shown[0].at if after is not None and shown else None
    ends = writes[-1].at if next_write is not None else None
    on_page = [one for one in refusals if (begins is None or one.at >= begins) and (ends is None or one.at < ends)]
    return Timeline(lines, next_write, refusals=tuple(map(_show_refusal, on_page)))


async def read_write(db: ReadSession, write: JournalWrite, after_position: int) -> Timeline:
    """Reads one write, with up to ROWS_PER_PAGE of its rows."""
    found = await queries.list_write_mutations(db, write.id, limit=ROWS_PER_PAGE + 1, after_position=after_position)
    shown = found[:ROWS_PER_PAGE]
    more = shown[-1].position if len(found) > ROWS_PER_PAGE else None
    return Timeline((_show_write(write, shown, None),), next_position=more)


def _show_write(write: JournalWrite, mutations: Sequence[JournalMutation], path: str | None) -> ShownWrite:
    """Prepares one write; `path` is the session's page, which shows the rows that do not fit here."""
    more_href = f"{path}?write={write.id}&after={mutations[-1].position if mutations else 0}" if path else None
    return ShownWrite(
        id=write.id,
        at=write.at,
        request=write.summary,
        count=write.mutation_count,
        mutations=tuple(_show_mutation(mutation, write.state) for mutation in mutations),
        more_href=more_href if write.mutation_count > len(mutations) else None,
        uncaptured=tuple(_describe_uncaptured(item) for item in write.unseen or ()),
        state=write.state,
    )


def _show_refusal(refusal: JournalRefusal) -> ShownRefusal:
    reason = REFUSAL_WORDS.get(refusal.code, refusal.code)
    return ShownRefusal(refusal.at, refusal.summary, refusal.code, reason, refusal.count)


def _show_mutation(mutation: JournalMutation, state: str) -> ShownMutation:
    before, after = _read_image(mutation.before), _read_image(mutation.after)
    row = after or before or {}
    return ShownMutation(
        position=mutation.position,
        verb=mutation.verb,
        table=f"{mutation.schema}.{mutation.table}",
        primary_key={column: row.get(column) for column in mutation.key_columns},
        before=before,
        after=after,
        state=state,
        cascade=None if mutation.cause == "request" else f"by {mutation.cause}",
    )


def _read_image(image: str | None) -> Row | None:
    """Decodes numbers as Decimal: a numeric with many digits must not lose any in a float."""
    if image is None:
        return None
    row: Row = json.loads(image, parse_float=Decimal)
    return row


def _describe_uncaptured(item: Mapping[str, Any]) -> str:
    counts = [f"{item[verb]:,} {verb}" for verb in ("inserted", "updated", "deleted") if item.get(verb)]
    counts += ["all rows deleted (TRUNCATE)"] if item.get("emptied") else []
    return f"{item['schema']}.{item['table']}: {', '.join(counts)}"
