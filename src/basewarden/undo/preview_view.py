"""Prepares the preview of an undo for its page: conflicts with three values, and the rows of each table."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from basewarden.db import ReadSession
from basewarden.journal import describe_rows
from basewarden.undo.conflict_view import (
    ConflictView,
    NewerSession,
    describe_conflicts,
    find_group,
    list_newer_sessions,
)
from basewarden.undo.diff_view import (
    CascadedTables,
    DiffTable,
    arrange_tables,
    leave_out_schema,
    make_table_id,
    show_sample,
)
from basewarden.undo.planning.choices import MOST_CHOICES
from basewarden.undo.planning.samples import ROWS_IN_WINDOW, ROWS_SHOWN, sort_conflicts
from basewarden.undo.receipt import Receipt, RowConflict
from basewarden.undo.row_samples import SampleWindow
from basewarden.undo.session_name import describe_session

MOST_SHOWN = 200
"""Conflicts on one page; a query each."""
DELETIONS_NAMED = 2
UNDONE_NAMED = 5


@dataclass(frozen=True, slots=True)
class TableChip:
    """What an undo does to the rows of one table, or to those of all `tables` (ids) changed by foreign keys."""

    id: str
    name: str
    inserted: int
    changed: int
    deleted: int
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RevivedSession:
    """A session that is undone, and of which `rows` would get values back; `is_partly`: some of its rows were kept."""

    id: UUID
    name: str
    caller: str
    rows: int
    is_partly: bool


@dataclass(frozen=True, slots=True)
class PreviewPage:
    """`free` rows would be restored, `chosen` of them over newer values; `kept` are in conflict and stay.

    For `choosable` conflicts there is a choice. `chosen_later` are the ids of chosen ones that are not shown.
    `conflicts_before` are the table and reason of the last conflict on the page before, `conflicts_end` is the number
    of the next one.
    """

    free: int
    kept: int
    chosen: int
    choosable: int
    chosen_later: tuple[str, ...]
    conflicts: tuple[ConflictView, ...]
    more_conflicts: int
    conflicts_end: int
    conflicts_before: tuple[str, str] | None
    tables: tuple[DiffTable, ...]
    cascaded: CascadedTables | None
    chips: tuple[TableChip, ...]
    newer: tuple[NewerSession, ...]
    undone: tuple[RevivedSession, ...]
    hidden_tables: int
    lasting: tuple[str, ...]

    @property
    def deleted_again(self) -> str:
        """Returns "120 customers and 313 orders": what a redo deletes."""
        tables = [*self.tables, *(self.cascaded.tables if self.cascaded is not None else ())]
        parts = [describe_rows(table.deleted, table.table) for table in tables if table.deleted]
        more = len(parts) - DELETIONS_NAMED
        if more > 0:
            parts = [*parts[:DELETIONS_NAMED], f"rows of {more} more {'table' if more == 1 else 'tables'}"]
        return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


async def describe_preview(
    db: ReadSession,
    connection_id: UUID,
    session_id: UUID,
    receipt: Receipt,
    own_tables: Sequence[tuple[str, str]],
    window: SampleWindow | None,
    shown: int = ROWS_SHOWN,
) -> PreviewPage:
    """Without a `window`, at least `shown` conflicts are shown. `own_tables` are shown before the other ones."""
    listed = sort_conflicts((*receipt.conflicts, *receipt.overwritten_edits))
    chosen = {edit.id for edit in receipt.overwritten_edits}
    first, count = (0, _count_shown(listed, chosen, shown)) if window is None else (window.start, ROWS_IN_WINDOW)
    choosable = [conflict.id for conflict in listed if conflict.id is not None][:MOST_CHOICES]
    choosable_tables = dict.fromkeys((one.schema, one.table) for one in listed if one.id is not None)
    if window is not None and not window.is_of_conflicts:
        listed = []
    on_page = listed[first : first + count]
    conflicts = await describe_conflicts(
        db, connection_id, session_id, on_page, receipt.names, chosen, receipt.brought_back_columns
    )
    before = listed[first - 1] if 0 < first <= len(listed) else None
    tables = [show_sample(connection_id, table) for table in receipt.shown]
    own, cascaded = arrange_tables(tables, own_tables)
    is_whole = window is None
    return PreviewPage(
        free=max(0, receipt.planned - receipt.already_reverted - len(receipt.conflicts)),
        kept=min(len(receipt.conflicts), receipt.planned),
        chosen=len(chosen),
        choosable=len(choosable),
        chosen_later=tuple(one.id for one in listed[first + count :] if one.id is not None and one.id in chosen),
        conflicts=conflicts,
        more_conflicts=max(0, len(listed) - first - count),
        conflicts_end=first + len(conflicts),
        conflicts_before=find_group(before) if before is not None else None,
        tables=own,
        cascaded=cascaded,
        chips=_list_chips(own, cascaded, choosable_tables),
        newer=await list_newer_sessions(db, connection_id, session_id, receipt.conflicts) if is_whole else (),
        undone=await _list_undone(db, connection_id, receipt),
        hidden_tables=len(receipt.tables) - len(tables) if is_whole else 0,
        lasting=leave_out_schema(receipt.irreversible, [*own_tables, *((one.schema, one.table) for one in tables)]),
    )


async def _list_undone(db: ReadSession, connection_id: UUID, receipt: Receipt) -> tuple[RevivedSession, ...]:
    sessions = []
    for one in receipt.brought_back[:UNDONE_NAMED]:
        found = await describe_session(db, connection_id, one.session_id)
        is_partly = found.status == "partly_undone"
        sessions.append(RevivedSession(one.session_id, found.name, found.caller, one.rows, is_partly))
    return tuple(sessions)


def _count_shown(listed: Sequence[RowConflict], chosen: Collection[str | None], shown: int) -> int:
    """Shows a few chosen rows, so that what was chosen remains in sight."""
    choosable = [place for place, conflict in enumerate(listed) if conflict.id is not None]
    places = [place for place in choosable if listed[place].id in chosen]
    last = places[-1] + 1 if places and len(places) < min(len(choosable), ROWS_IN_WINDOW) else 0
    return min(max(ROWS_SHOWN, shown, last), MOST_SHOWN)


def _list_chips(
    own: Sequence[DiffTable], cascaded: CascadedTables | None, choosable: Collection[tuple[str, str]]
) -> tuple[TableChip, ...]:
    """Also for tables of which only chosen rows would be restored."""
    chips = [TableChip(one.id, _name_table(one), one.inserted, one.changed, one.deleted, (one.id,)) for one in own]
    if cascaded is not None:
        ids = tuple(one.id for one in cascaded.tables)
        counts = (cascaded.inserted, cascaded.changed, cascaded.deleted)
        chips.append(TableChip(cascaded.id, "by foreign keys", *counts, ids))
    known = {one for chip in chips for one in chip.tables}
    ids_of_others = {make_table_id(*name): name for name in choosable}
    chips += [
        TableChip(one, table if schema == "public" else f"{schema}.{table}", 0, 0, 0, (one,))
        for one, (schema, table) in ids_of_others.items()
        if one not in known
    ]
    return tuple(chips)


def _name_table(table: DiffTable) -> str:
    return table.table if table.schema == "public" else f"{table.schema}.{table.table}"
