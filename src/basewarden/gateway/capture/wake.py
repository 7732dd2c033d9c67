"""What foreign keys do in a write's wake: the rows they will delete or change, locked and kept beforehand.

Locking the parents first makes the set final: whoever wants to attach a child waits for our lock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from basewarden.gateway.capture.images import Located, read_images, run_as_owner, select_by_columns
from basewarden.gateway.errors import cascade_denied, row_limit
from pgrest import DbConnection, ForeignKey, Schema, Table

Place = tuple[str, str, tuple[str, ...]]  # schema, table, identity
DELETED = "deleted"
_CHANGES_CHILDREN = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})


@dataclass(frozen=True, slots=True)
class CascadedRow:
    """A row that a foreign key will change. `carries` maps its key columns to the parent's columns they copy.

    `changed` are the columns that foreign keys set, on whatever ways the row is reached.
    """

    table: Table
    located: Located
    cause: str
    parent: Located | None = None
    carries: tuple[tuple[str, str], ...] = ()
    changed: frozenset[str] = frozenset()

    @property
    def moves(self) -> bool:
        """Whether it may be found under another identity afterwards."""
        return bool(self.changed) and not (self.table.key and self.changed.isdisjoint(self.table.key))


@dataclass(frozen=True, slots=True)
class WakeLimits:
    """How many rows a write may change, those of foreign keys among them, and in which tables."""

    max_rows: int | None = None
    tables: frozenset[str] | None = None

    def check_table(self, table: Table) -> None:
        if self.tables is not None and ".".join(table.qualified) not in self.tables:
            raise cascade_denied()


@dataclass(slots=True)
class CascadeSet:
    """Followers by place. A row may be reached on several ways: first set to null, then deleted after all.

    `claimed` are the rows of the write itself; `visited` are the (place, way) pairs that need no second visit.
    """

    limits: WakeLimits = field(default_factory=WakeLimits)
    followers: dict[Place, CascadedRow] = field(default_factory=dict)
    claimed: set[Place] = field(default_factory=set)
    visited: set[tuple[Place, str]] = field(default_factory=set)

    def claim(self, table: Table, rows: Iterable[Located]) -> None:
        self.claimed.update(place_of(table, row) for row in rows)

    def check_count(self) -> None:
        count = len(self.claimed) + len(self.followers)
        if self.limits.max_rows is not None and count > self.limits.max_rows:
            raise row_limit(self.limits.max_rows)

    def visit(self, follower: CascadedRow, way: str) -> bool:
        """False when this row was here on this way before, or is one of the write's own."""
        place = place_of(follower.table, follower.located)
        if place in self.claimed or (place, way) in self.visited:
            return False
        self.visited.add((place, way))
        known = self.followers.get(place, follower)
        # Their images are the same: the row is locked since the first visit.
        told = follower if way == DELETED else known
        self.followers[place] = replace(told, changed=known.changed | follower.changed)
        return True


def place_of(table: Table, row: Located) -> Place:
    return (table.schema, table.name, row.identity)


async def collect_delete_wake(
    connection: DbConnection, schema: Schema, table: Table, rows: Sequence[Located], limits: WakeLimits
) -> CascadeSet:
    wake = CascadeSet(limits)
    wake.claim(table, rows)
    await _follow_delete(connection, schema, table, rows, wake)
    return wake


async def collect_update_wake(
    connection: DbConnection,
    schema: Schema,
    table: Table,
    rows: Sequence[Located],
    changed: frozenset[str],
    limits: WakeLimits,
) -> CascadeSet:
    wake = CascadeSet(limits)
    wake.claim(table, rows)
    await _follow_update(connection, schema, table, rows, changed, wake)
    return wake


async def _follow_delete(
    connection: DbConnection, schema: Schema, table: Table, rows: Sequence[Located], wake: CascadeSet
) -> None:
    for key in schema.list_keys_in(table):
        if key.on_delete not in _CHANGES_CHILDREN:
            continue
        child, found = await _lock_children(connection, schema, key, rows, wake)
        is_deleted = key.on_delete == "CASCADE"
        way = DELETED if is_deleted else key.name
        changed = frozenset() if is_deleted else frozenset(key.set_columns or key.columns)
        cause = f"{key.name} on delete"
        fresh = [row for row in found if wake.visit(CascadedRow(child, row, cause, changed=changed), way)]
        if fresh:
            wake.limits.check_table(child)
            wake.check_count()
        if fresh and is_deleted:
            await _follow_delete(connection, schema, child, fresh, wake)
        elif fresh:
            await _follow_update(connection, schema, child, fresh, changed, wake)


async def _follow_update(
    connection: DbConnection,
    schema: Schema,
    table: Table,
    rows: Sequence[Located],
    changed: frozenset[str],
    wake: CascadeSet,
) -> None:
    changed |= table.generated
    for key in schema.list_keys_in(table):
        if key.on_update not in _CHANGES_CHILDREN or changed.isdisjoint(key.ref_columns):
            continue
        child, found = await _lock_children(connection, schema, key, rows, wake)
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
            if wake.visit(
                CascadedRow(child, row, cause, parents.get(row.image.key(key.columns)), carries, set_here),
                key.name,
            )
        ]
        wake.check_count()
        if fresh:
            await _follow_update(connection, schema, child, fresh, set_here, wake)


async def _lock_children(
    connection: DbConnection, schema: Schema, key: ForeignKey, parents: Sequence[Located], wake: CascadeSet
) -> tuple[Table, list[Located]]:
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
    limit = None if wake.limits.max_rows is None else wake.limits.max_rows + 1
    select = select_by_columns(shaped, key.columns, values, lock=True, limit=limit)
    (rows,) = await run_as_owner(connection, [select])
    return root or child, read_images(shaped, rows)
