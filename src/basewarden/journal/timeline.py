"""Prepares a session for its page: its writes in order, each with the rows that it changed."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from basewarden.connections import Membership
from basewarden.db import ReadSession
from basewarden.journal import queries
from basewarden.journal.interventions import describe_reason, list_session_interventions, name_intervener
from basewarden.journal.models import JournalIntervention, JournalMutation, JournalRefusal, JournalWrite
from basewarden.journal.refusals import describe_refused, explain_refusal, list_session_refusals
from basewarden.journal.row_names import RowNames
from basewarden.journal.sessions import (
    UndoneRows,
    VerbCount,
    describe_cascades,
    describe_changes,
    describe_write,
)
from basewarden.journal.shown_rows import (
    LaterEdit,
    ShownMutation,
    leave_out_ids,
    show_later,
    show_mutation,
    with_name,
)

WRITES_PER_PAGE = 50
ROWS_SHOWN = 10
ROWS_PER_PAGE = 200
REFUSALS_SHOWN = 200
INTERVENTIONS_SHOWN = 100
LEFT_LISTED = 10_000
_VALUES = re.compile(r"\(([^()]*,[^()]*,[^()]*)(\)|$)")
_INTERVENED = {"freeze": "froze this session", "release": "released this session", "approve": "approved a write"}


@dataclass(frozen=True, slots=True)
class ShownWrite:
    """`cascades` are the rows that foreign keys changed, in words; `more` rows follow at `more_href`."""

    id: UUID
    at: datetime
    title: str
    cascades: str
    request: str
    short_request: str
    count: int
    mutations: tuple[ShownMutation, ...]
    more: int
    more_href: str | None
    uncaptured: tuple[str, ...]
    state: str = "committed"
    left: int | None = None
    """How many of its rows no undo has reverted; None: an undo has not touched it."""

    @property
    def undone(self) -> str:
        """Returns "0 of 262 undone" where some of its rows are left."""
        return f"{self.count - (self.left or 0):,} of {self.count:,} undone"

    @property
    def has_several_tables(self) -> bool:
        return len({mutation.table for mutation in self.mutations}) > 1


@dataclass(frozen=True, slots=True)
class ShownRefusal:
    """Refused requests of one kind; `at` is the time of the last of `count`, `title` names it in words."""

    at: datetime
    title: str
    request: str
    code: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class ShownIntervention:
    """The session was frozen or released, or a write of it approved: by whom, in words, and why."""

    at: datetime
    who: str
    what: str
    because: str | None
    user_id: UUID | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """One page of a session; the next one begins after `next_write` or `next_position`."""

    writes: tuple[ShownWrite, ...]
    next_write: UUID | None = None
    next_position: int | None = None
    refusals: tuple[ShownRefusal, ...] = ()
    interventions: tuple[ShownIntervention, ...] = ()

    @property
    def entries(self) -> list[ShownWrite | ShownRefusal | ShownIntervention]:
        """Returns writes, refusals and interventions in order of time."""
        return sorted([*self.writes, *self.refusals, *self.interventions], key=lambda entry: entry.at)


async def read_timeline(
    db: ReadSession, session_id: UUID, path: str, after: UUID | None, undone: UndoneRows | None = None
) -> Timeline:
    """Reads the first rows of each write; `path` is the session's page, which links to the rest."""
    writes = await queries.list_writes(db, session_id, limit=WRITES_PER_PAGE + 1, after=after)
    shown = writes[:WRITES_PER_PAGE]
    mutations = await queries.list_first_mutations(db, [write.id for write in shown], per_write=ROWS_SHOWN)
    edits = await _read_edits(db, mutations, undone)
    by_write: dict[UUID, list[JournalMutation]] = {}
    for mutation in mutations:
        by_write.setdefault(mutation.write_id, []).append(mutation)
    lines = tuple(_show_write(write, by_write.get(write.id, []), path, edits) for write in shown)
    next_write = shown[-1].id if len(writes) > WRITES_PER_PAGE else None
    begins = shown[0].at if after is not None and shown else None
    ends = writes[-1].at if next_write is not None else None
    refusals = await list_session_refusals(db, session_id, limit=REFUSALS_SHOWN)
    interventions = await list_session_interventions(db, session_id, limit=INTERVENTIONS_SHOWN)
    return Timeline(
        lines,
        next_write,
        refusals=tuple(_show_refusal(one) for one in refusals if _is_within(one.at, begins, ends)),
        interventions=tuple(_show_intervention(one) for one in interventions if _is_within(one.at, begins, ends)),
    )


def _is_within(at: datetime, begins: datetime | None, ends: datetime | None) -> bool:
    return (begins is None or at >= begins) and (ends is None or at < ends)


def shorten_request(summary: str) -> str:
    """Returns "DELETE /customers?id=in.(120 values)": what a person reads of a request."""
    address, _, query = summary.partition("?")
    parts = [part for part in query.split("&") if part and not part.startswith(("select=", "columns="))]
    short = [_VALUES.sub(_count_values, part) for part in parts]
    return f"{address}?{'&'.join(short)}" if short else address


def _count_values(found: re.Match[str]) -> str:
    return f"({found[1].count(',') + 1} values)" if found[2] else "(…)"


def hide_requests(timeline: Timeline) -> Timeline:
    """Of a person's edits on the pages, whose requests the pages made."""
    return replace(timeline, writes=tuple(replace(write, short_request="") for write in timeline.writes))


async def mark_undone(db: ReadSession, timeline: Timeline, undone: UndoneRows) -> Timeline:
    """Marks the writes and rows that undos have reverted."""
    covered = [write for write in timeline.writes if undone.covers(write.id)]
    left: dict[UUID, set[int]] = {}
    if undone.left and covered:
        left = await queries.list_left_positions(db, [write.id for write in covered], limit=LEFT_LISTED)
    marked = {write.id: _mark_write(write, left.get(write.id, set()), undone) for write in covered}
    return replace(timeline, writes=tuple(marked.get(write.id, write) for write in timeline.writes))


async def name_rows(timeline: Timeline, member: Membership, names: RowNames) -> Timeline:
    """Names the rows that are called by the rows that they refer to."""
    rows = [row for write in timeline.writes for row in write.mutations]
    named = iter(await name_mutations(rows, member, names))
    writes = (replace(write, mutations=leave_out_ids(islice(named, len(write.mutations)))) for write in timeline.writes)
    return replace(timeline, writes=tuple(writes))


async def name_mutations(rows: Sequence[ShownMutation], member: Membership, names: RowNames) -> Sequence[ShownMutation]:
    """The rows in their order; those without a name of their own have that of the row that they refer to."""
    unnamed = [row for row in rows if row.unnamed is not None]
    found = await names.read(member, [row.unnamed for row in unnamed if row.unnamed is not None])
    by_place = {id(row): one.reference for row, one in zip(unnamed, found, strict=True)}
    return [with_name(row, by_place.get(id(row))) for row in rows]


def mark_all_undone(timeline: Timeline) -> Timeline:
    """Marks all committed writes of a session that is undone."""
    none_left: frozenset[int] = frozenset()
    marked = (_mark_write(write, none_left) if write.state == "committed" else write for write in timeline.writes)
    return replace(timeline, writes=tuple(marked))


def _mark_write(write: ShownWrite, left: Collection[int], undone: UndoneRows | None = None) -> ShownWrite:
    """Rows that are left keep newer edits where the undo left no other ones."""
    is_kept = undone is not None and undone.kept > 0
    rows = tuple(
        replace(row, is_undone=row.position not in left, is_kept=row.position in left and is_kept)
        for row in write.mutations
    )
    return replace(write, mutations=rows, left=min(len(left), undone.left if undone is not None else 0))


async def read_write(
    db: ReadSession, write: JournalWrite, after_position: int, undone: UndoneRows | None = None
) -> Timeline:
    """Reads one write, with up to ROWS_PER_PAGE of its rows."""
    found = await queries.list_write_mutations(db, write.id, limit=ROWS_PER_PAGE + 1, after_position=after_position)
    shown = found[:ROWS_PER_PAGE]
    more = shown[-1].position if len(found) > ROWS_PER_PAGE else None
    edits = await _read_edits(db, shown, undone)
    return Timeline((_show_write(write, shown, None, edits),), next_position=more)


@dataclass(frozen=True, slots=True)
class _LaterEdits:
    """What other sessions did afterwards to rows, by the ids of their changes: last of all, and last before an undo."""

    last: Mapping[int, LaterEdit | None]
    kept: Mapping[int, LaterEdit | None]


async def _read_edits(db: ReadSession, mutations: Sequence[JournalMutation], undone: UndoneRows | None) -> _LaterEdits:
    last = await _read_later(db, mutations)
    if undone is None or not undone.kept:
        return _LaterEdits(last, {})
    kept: dict[int, LaterEdit | None] = {}
    by_time: dict[datetime, list[JournalMutation]] = {}
    for one in mutations:
        if one.id in last and undone.covers(one.write_id):
            by_time.setdefault(undone.find_time(one.write_id), []).append(one)
    for at, group in by_time.items():
        kept |= await _read_later(db, group, before=at)
    return _LaterEdits(last, kept)


async def _read_later(
    db: ReadSession, mutations: Sequence[JournalMutation], before: datetime | None = None
) -> dict[int, LaterEdit | None]:
    found = await queries.list_later_changes(db, mutations, before)
    by_id = {one.id: one for one in mutations}
    return {change: show_later(by_id[change], *later) for change, later in found.items()}


def _show_write(
    write: JournalWrite,
    mutations: Sequence[JournalMutation],
    path: str | None,
    edits: _LaterEdits,
) -> ShownWrite:
    """Prepares one write; `path` is the session's page, which shows the rows that do not fit here."""
    counts = list_verb_counts(write)
    more = write.mutation_count - len(mutations) if path else 0
    last = mutations[-1].position if mutations else 0
    return ShownWrite(
        id=write.id,
        at=write.at,
        title=describe_write(write.verb, write.table, counts),
        cascades=describe_cascades(counts) if any(not count.is_cascade for count in counts) else "",
        request=write.summary,
        short_request=shorten_request(write.summary),
        count=write.mutation_count,
        mutations=tuple(
            show_mutation(
                mutation, write.state, write.connection_id, edits.last.get(mutation.id), edits.kept.get(mutation.id)
            )
            for mutation in mutations
        ),
        more=max(0, more),
        more_href=f"{path}?write={write.id}&after={last}" if more > 0 else None,
        uncaptured=tuple(describe_uncaptured(item) for item in write.unseen or ()),
        state=write.state,
    )


def list_verb_counts(write: JournalWrite) -> list[VerbCount]:
    """Lists a write's rows by table and verb; those of an earlier release as far as the write names them."""
    if write.change_counts is not None:
        return [
            VerbCount(item["verb"], item["schema"], item["table"], item["rows"], item["cascade"])
            for item in write.change_counts
        ]
    is_plain = write.verb in ("insert", "update", "delete") and len(write.tables) <= 1
    verb = write.verb if is_plain else "mixed"
    return [VerbCount(verb, write.schema, write.table, write.mutation_count)] if write.mutation_count else []


def describe_writes(writes: Sequence[JournalWrite]) -> str:
    """Returns "Changed 2 notes": what the requests of these writes did, without cascades."""
    counts = [count for write in writes for count in list_verb_counts(write)]
    return describe_changes([count for count in counts if not count.is_cascade] or counts)


def _show_refusal(refusal: JournalRefusal) -> ShownRefusal:
    reason = explain_refusal(refusal)
    title = f"Blocked: {describe_refused(refusal)}"
    return ShownRefusal(refusal.at, title, refusal.summary, refusal.code, reason, refusal.count)


def _show_intervention(one: JournalIntervention) -> ShownIntervention:
    return ShownIntervention(one.at, name_intervener(one), _INTERVENED[one.action], describe_reason(one), one.user_id)


def describe_uncaptured(item: Mapping[str, Any]) -> str:
    """Returns "public.audit: 3 inserted": rows that were changed without a record of them."""
    counts = [f"{item[verb]:,} {verb}" for verb in ("inserted", "updated", "deleted") if item.get(verb)]
    counts += ["all rows deleted (TRUNCATE)"] if item.get("emptied") else []
    return f"{item['schema']}.{item['table']}: {', '.join(counts)}"
