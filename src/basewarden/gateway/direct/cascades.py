"""The rows that foreign keys will delete or change after a write, locked and read before it.

Locking the parents first makes the set final: another transaction that adds a child waits for our lock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from basewarden.gateway.direct.row_images import RowImage, read_images, run_as_owner, select_by_columns
from basewarden.gateway.recording.cascades import RowPlace, check_cascade_table
from basewarden.policy import Policy, row_limit
from pgrest import CHANGES_CHILDREN, DbConnection, ForeignKey, Name, Schema, Table

DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class CascadedRow:
    """A row that a foreign key will change. `carries` maps its key columns to the parent's columns they copy.

    `changed` are the columns that foreign keys set, on all paths to the row together.
    """

    table: Table
    row: RowImage
    cause: str
    parent: RowImage | None = None
    carries: tuple[tuple[str, str], ...] = ()
    changed: frozenset[str] = frozenset()

    @property
    def moves(self) -> bool:
        """Whether it may be found under another identity afterwards."""
        return bool(self.changed) and not (self.table.key and self.changed.isdisjoint(self.table.key))


@dataclass(frozen=True, slots=True)
class CascadeLimits:
    """How many rows a write may change, those of foreign keys among them, and in which tables."""

    max_rows: int | None = None
    policy: Policy | None = None

    def check_table(self, table: Table) -> None:
        check_cascade_table(table, self.policy)


@dataclass(slots=True)
class CascadeSet:
    """Cascaded rows by place. A row may be reached on several paths: first set to null, then deleted after all.

    `claimed` are the rows of the write itself; `visited` are the (place, path) pairs that need no second visit.
    """

    limits: CascadeLimits = field(default_factory=CascadeLimits)
    rows: dict[RowPlace, CascadedRow] = field(default_factory=dict)
    claimed: set[RowPlace] = field(default_factory=set)
    visited: set[tuple[RowPlace, str]] = field(default_factory=set)

    def claim(self, table: Table, rows: Iterable[RowImage]) -> None:
        self.claimed.update(place_of(table, row) for row in rows)

    def check_count(self) -> None:
        count = len(self.claimed) + len(self.rows)
        if self.limits.max_rows is not None and count > self.limits.max_rows:
            raise row_limit(self.limits.max_rows)

    def list_by_table(self) -> list[list[CascadedRow]]:
        groups: dict[Name, list[CascadedRow]] = {}
        for cascaded in self.rows.values():
            groups.setdefault(cascaded.table.qualified, []).append(cascaded)
        return list(groups.values())

    def visit(self, cascaded: CascadedRow, path: str) -> bool:
        """False for a row that was reached on this path before, or is one of the write's own."""
        place = place_of(cascaded.table, cascaded.row)
        if place in self.claimed or (place, path) in self.visited:
            return False
        self.visited.add((place, path))
        known = self.rows.get(place, cascaded)
        # Their images are the same: the row is locked since the first visit.
        latest = cascaded if path == DELETED else known
        self.rows[place] = replace(latest, changed=known.changed | cascaded.changed)
        return True


def place_of(table: Table, row: RowImage) -> RowPlace:
    return (table.qualified, row.identity)


async def collect_delete_cascades(
    connection: DbConnection, schema: Schema, table: Table, rows: Sequence[RowImage], limits: CascadeLimits
) -> CascadeSet:
    cascades = CascadeSet(limits)
    cascades.claim(table, rows)
    await _collect_for_delete(connection, schema, table, rows, cascades)
    return cascades


async def collect_update_cascades(
    connection: DbConnection,
    schema: Schema,
    table: Table,
    rows: Sequence[RowImage],
    changed: frozenset[str],
    limits: CascadeLimits,
) -> CascadeSet:
    cascades = CascadeSet(limits)
    cascades.claim(table, rows)
    await _collect_for_update(connection, schema, table, rows, changed, cascades)
    return cascades


async def _collect_for_delete(
    connection: DbConnection, schema: Schema, table: Table, rows: Sequence[RowImage], cascades: CascadeSet
) -> None:
    for key in schema.list_keys_in(table):
        if key.on_delete not in CHANGES_CHILDREN:
            continue
        child, found = await _lock_children(connection, schema, key, rows, cascades)
        is_deleted = key.on_delete == "CASCADE"
        path = DELETED if is_deleted else key.name
        changed = frozenset() if is_deleted else frozenset(key.set_columns or key.columns)
        cause = f"{key.name} on delete"
        fresh = [row for row in found if cascades.visit(CascadedRow(child, row, cause, changed=changed), path)]
        if fresh:
            cascades.limits.check_table(child)
            cascades.check_count()
        if fresh and is_deleted:
            await _collect_for_delete(connection, schema, child, fresh, cascades)
        elif fresh:
            await _collect_for_update(connection, schema, child, fresh, changed, cascades)


async def _collect_for_update(
    connection: DbConnection,
    schema: Schema,
    table: Table,
    rows: Sequence[RowImage],
    changed: frozenset[str],
    cascades: CascadeSet,
) -> None:
    changed |= table.generated
    for key in schema.list_keys_in(table):
        if key.on_update not in CHANGES_CHILDREN or changed.isdisjoint(key.ref_columns):
            continue
        child, found = await _lock_children(connection, schema, key, rows, cascades)
        set_here = frozenset(key.columns)
        cause = f"{key.name} on update"
        parents = {row.image.key(key.ref_columns): row for row in rows}
        carries = tuple(
            (column, ref)
            for column, ref in zip(key.columns, key.ref_columns, strict=True)
            if key.on_update == "CASCADE" and column in child.key
        )
        fresh = [
            row
            for row in found
            if cascades.visit(
                CascadedRow(child, row, cause, parents.get(row.image.key(key.columns)), carries, set_here),
                key.name,
            )
        ]
        cascades.check_count()
        if fresh:
            await _collect_for_update(connection, schema, child, fresh, set_here, cascades)


async def _lock_children(
    connection: DbConnection, schema: Schema, key: ForeignKey, parents: Sequence[RowImage], cascades: CascadeSet
) -> tuple[Table, list[RowImage]]:
    """The table under whose name they are recorded, and its rows: one more than the limit is enough to know."""
    child = schema.tables[key.table]
    root = schema.tables.get(child.root) if child.root is not None else None
    shaped = child if root is None else msgspec.structs.replace(root, schema=child.schema, name=child.name)
    values = [
        tuple(value or "" for value in found)
        for row in parents
        if None not in (found := [row.image.exact[column] for column in key.ref_columns])
    ]
    if not values:
        return root or child, []
    limit = None if cascades.limits.max_rows is None else cascades.limits.max_rows + 1
    select = select_by_columns(shaped, key.columns, values, lock=True, limit=limit)
    (rows,) = await run_as_owner(connection, [select])
    return root or child, read_images(shaped, rows)
