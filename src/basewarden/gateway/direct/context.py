"""What the captures of each verb share: the transaction they run in and the outcome they hand on."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from basewarden.gateway.direct.cascades import CascadedRow, CascadeLimits, CascadeSet
from basewarden.gateway.direct.deferred import FINISH, deferred_check, is_nothing_deferred
from basewarden.gateway.direct.row_images import (
    AS_OWNER,
    AS_SESSION,
    BEGIN,
    RowImage,
    by_identity,
    has_canonical_output,
    read_images,
    run_as_owner,
    select_by_identity,
    select_written_here,
)
from basewarden.gateway.direct.stat_counters import COUNT_CHANGES, OWN_NAMES, ChangeCounts, TrackedRows, read_counts
from basewarden.gateway.errors import NotCaptured, row_limit
from basewarden.journal import RowChange, Verb
from pgrest import (
    Builder,
    DatabasePlan,
    DbConnection,
    InsertPlan,
    Keys,
    PlanTemplate,
    RequestShape,
    Result,
    Rows,
    Schema,
    Statement,
    Table,
    key_columns,
    read_result,
)

ROLLBACK = Statement("ROLLBACK")
READ_XID = Statement("SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text")
# Their text means the same in every session. That of floats and money does not, nor that of times, nor that of names
# of tables; and of a type that somebody made, or of what is put together from others, nobody knows.
_PLAIN_CATEGORIES = frozenset("BEISV")
_PLAIN_TYPES = frozenset(
    {"smallint", "integer", "bigint", "numeric", "oid", "uuid", "bytea", "jsonb", "macaddr", "macaddr8", "int4range"}
    | {"int8range", "numrange"}
)
_DATED_CATEGORIES = frozenset("DT")
_DATED_TYPES = frozenset({"daterange", "tsrange", "tstzrange"})
Identity = tuple[str, ...]


@dataclass(slots=True)
class CounterBaseline:
    """The counters as they stood when the transaction began; kept where triggers or a function may leave traces."""

    earlier: ChangeCounts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WriteContext:
    """One write's transaction. `settings` make the caller: role, claims, and what functions may read of the request.

    `sets_output` says that they also change how dates are written and read.
    """

    connection: DbConnection
    schema: Schema
    settings: Sequence[Statement]
    role: str | None
    max_rows: int | None = None
    tables: frozenset[str] | None = None
    """Those that the caller may touch, by schema and name; None is all."""
    sets_output: bool = False
    runs_code: bool = True
    """Whether it may, so that what it changes must be counted."""
    baseline: "CounterBaseline | None" = None
    template: PlanTemplate | None = None
    shaped: RequestShape | None = None

    @property
    def has_canonical_output(self) -> bool:
        """Literals mean the same to the caller and under AS_OWNER."""
        return not self.sets_output and has_canonical_output(self.connection)

    def can_tell_keys(self, table: Table) -> bool:
        """Whether the text of keys that the caller's statements report can be read back by the connection's role."""
        categories, types = _PLAIN_CATEGORIES, _PLAIN_TYPES
        if self.has_canonical_output:
            categories, types = categories | _DATED_CATEGORIES, types | _DATED_TYPES
        columns = [table.columns[name] for name in table.key]
        return all(column.category in categories or column.base_type in types for column in columns)

    def sees_all(self, table: Table) -> bool:
        """The caller's filter finds the same rows when the connection's own role evaluates it."""
        if not self.has_canonical_output:
            return False
        if self.role is None or not table.rls_enabled or self.schema.role_bypasses_rls(self.role):
            return True
        return self.role == table.owner and not table.rls_forced

    @property
    def cascade_limits(self) -> CascadeLimits:
        return CascadeLimits(self.max_rows, self.tables)

    def write(self, name: Hashable, build: Callable[[Builder], str]) -> Statement:
        """A statement of the plan, from its template where there is one."""
        if self.template is not None and self.shaped is not None:
            return self.template.fill(name, self.shaped, build)
        builder = Builder()
        return builder.statement(build(builder))

    def as_caller(self, statement: Statement) -> tuple[Statement, ...]:
        return (AS_SESSION, *self.settings, statement)

    def deferred_check(self) -> list[Statement]:
        """Leaves the caller's role, under our search path."""
        return deferred_check(self.as_caller(FINISH))

    def check_row_limit(self, count: int) -> None:
        if self.max_rows is not None and count > self.max_rows:
            raise row_limit(self.max_rows)


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """The transaction is still open: what it answers, what it changed, and what it changed unseen."""

    result: Result
    changes: tuple[RowChange, ...]
    xid: int
    unseen: tuple[dict[str, object], ...] = field(default=())
    tracked: tuple[TrackedRows, ...] = ()
    """What is known of the rows behind `changes`, and of those that were written and are as they were."""
    is_checked: bool = False
    """Whether the snapshot was compared with the catalogue already."""


async def open_transaction(context: WriteContext) -> list[Statement]:
    """What is left to send before the first statement: BEGIN, unless the counters had to be read first."""
    if context.baseline is None:
        return [BEGIN]
    *_, counted = await context.connection.run([BEGIN, OWN_NAMES, COUNT_CHANGES])
    context.baseline.earlier = read_counts(counted, context.schema)
    return []


def is_merge(plan: InsertPlan) -> bool:
    return plan.is_upsert and plan.resolution == "merge-duplicates"


def check_nothing_deferred(answers: Sequence[Rows]) -> None:
    """Raises NotCaptured where triggers have put something off to the COMMIT."""
    if not is_nothing_deferred(answers):
        raise NotCaptured(
            "A trigger defers its changes to the end of the transaction, so they cannot be counted.",
            hint="A deferred trigger must not use SET CONSTRAINTS to defer its effects.",
        )


def make_keys(table: Table, rows: Iterable[RowImage]) -> Keys:
    return Keys(key_columns(table), tuple(row.identity for row in rows))


def read_xid(rows: Rows) -> int:
    return int(rows.rows[0][0] or 0)


def make_change(
    table: Table,
    before: RowImage | None,
    after: RowImage | None,
    cause: str = "request",
    *,
    set_columns: frozenset[str] | None = None,
) -> RowChange | None:
    """None when nothing about the row changed. `set_columns` are those that the request named."""
    if before is None and after is None:
        return None
    if before is not None and after is not None and before.image.exact == after.image.exact:
        return None
    verb: Verb = "insert" if before is None else "delete" if after is None else "update"
    return RowChange(
        table.schema,
        table.name,
        verb,
        table.key,
        before.image if before else None,
        after.image if after else None,
        cause,
        tuple(sorted(set_columns)) if set_columns is not None and verb == "update" else None,
    )


async def write_and_read(
    context: WriteContext, plan: DatabasePlan, statement: Statement, *then: Statement
) -> tuple[Result, list[Rows]]:
    """Runs the caller's statement, then `then` as the connection's own role, in one round trip."""
    prefix = context.as_caller(statement)
    results = await context.connection.run([*prefix, FINISH, AS_OWNER, *then])
    return read_result(plan, results[len(prefix) - 1]), results[len(prefix) + 2 :]


async def read_cascaded_after(
    context: WriteContext, cascades: CascadeSet, parents_after: dict[int, RowImage]
) -> tuple[list[RowChange], list[TrackedRows]]:
    """What became of the rows in the wake. `parents_after` maps id() of a parent's image before to its image after."""
    by_table: dict[tuple[str, str], list[CascadedRow]] = {}
    for cascaded in cascades.rows.values():
        by_table.setdefault((cascaded.table.schema, cascaded.table.name), []).append(cascaded)
    changes: list[RowChange] = []
    tracked: list[TrackedRows] = []
    for group in by_table.values():
        table = group[0].table
        made: list[RowChange | None] = []
        identities = [_identity_after(cascaded, parents_after) for cascaded in group]
        (rows,) = await run_as_owner(context.connection, [select_by_identity(table, identities, lock=False)])
        after = by_identity(table, rows)
        lost = [one for one, identity in zip(group, identities, strict=True) if identity not in after]
        moved = await _find_moved(context, table, lost, after)
        for cascaded, identity in zip(group, identities, strict=True):
            found = after.get(identity) or moved.get(cascaded.image.identity)
            if found is not None:
                parents_after[id(cascaded.image)] = found
            made.append(make_change(table, cascaded.image, found, cascaded.cause, set_columns=cascaded.changed))
        changes += compact(made)
        if compact(made):
            context.cascade_limits.check_table(table)
        now = frozenset([*after, *(row.identity for row in moved.values())])
        tracked.append(TrackedRows(table, sum(one is not None and one.verb == "update" for one in made), now))
    return changes, tracked


def _identity_after(cascaded: CascadedRow, parents_after: dict[int, RowImage]) -> tuple[str, ...]:
    """Where ON UPDATE CASCADE carried the parent's new value into the child's key."""
    identity = cascaded.image.identity
    parent = parents_after.get(id(cascaded.parent)) if cascaded.parent is not None else None
    if parent is None or not cascaded.carries:
        return identity
    carried = {column: parent.image.exact[ref] or "" for column, ref in cascaded.carries}
    return tuple(
        carried.get(column, value) for column, value in zip(key_columns(cascaded.table), identity, strict=True)
    )


async def _find_moved(
    context: WriteContext, table: Table, lost: Sequence[CascadedRow], found: Mapping[Identity, RowImage]
) -> dict[Identity, RowImage]:
    """Rows that a foreign key took to where nobody can foretell: they are among those that this transaction wrote."""
    moving = [cascaded for cascaded in lost if cascaded.moves]
    if not moving:
        return {}
    (rows,) = await run_as_owner(context.connection, [select_written_here(table)])
    written = [row for row in read_images(table, rows) if row.identity not in found]
    moved: dict[Identity, RowImage] = {}
    for changed in {cascaded.changed for cascaded in moving}:
        group = [cascaded.image for cascaded in moving if cascaded.changed == changed]
        moved.update(pair_moved(table, group, written, changed))
    return moved


def pair_moved(
    table: Table, before: Sequence[RowImage], after: Sequence[RowImage], changed: frozenset[str]
) -> dict[Identity, RowImage]:
    """Old identity to new row, by what stayed the same: the rest of the key, or of the row where there is no key."""
    stable = tuple(column for column in table.key or table.columns if column not in changed)
    waiting: dict[Identity, list[RowImage]] = {}
    for row in after:
        waiting.setdefault(row.image.key(stable), []).append(row)
    return {row.identity: same.pop(0) for row in before if (same := waiting.get(row.image.key(stable)))}


def compact(changes: Sequence[RowChange | None]) -> list[RowChange]:
    return [change for change in changes if change is not None]
