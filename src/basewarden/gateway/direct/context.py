"""What the captures of all verbs share: the transaction that they run in and the outcome that they return."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from basewarden.gateway.direct.cascades import CascadedRow, CascadeLimits, CascadeSet
from basewarden.gateway.direct.deferred import FINISH, add_deferred_check, is_nothing_deferred
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
from basewarden.gateway.recording.capturable import trigger_deferred
from basewarden.gateway.recording.cascades import Identity, replace_values
from basewarden.gateway.recording.row_changes import drop_unchanged, make_row_change
from basewarden.gateway.recording.row_matching import match_by_columns, stable_columns
from basewarden.journal import RowChange, UncapturedChanges
from basewarden.policy import Policy, row_limit
from pgrest import (
    Builder,
    DatabasePlan,
    DbConnection,
    InsertPlan,
    Keys,
    Pipeline,
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
# The text of these types is the same in every session. That of floats, money, times and names of tables is not, and
# that of user-defined and composite types may not be.
_PLAIN_CATEGORIES = frozenset("BEISV")
_PLAIN_TYPES = frozenset(
    {"smallint", "integer", "bigint", "numeric", "oid", "uuid", "bytea", "jsonb", "macaddr", "macaddr8", "int4range"}
    | {"int8range", "numrange"}
)
_DATED_CATEGORIES = frozenset("DT")
_DATED_TYPES = frozenset({"daterange", "tsrange", "tstzrange"})


@dataclass(slots=True)
class CounterBaseline:
    """The counters as they were when the transaction began."""

    counts: ChangeCounts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WriteContext:
    """One write's transaction. `settings` set the caller's role, claims, and what functions may read of the request.

    `template` and `shape` are those of the request, where its plan can be kept.
    """

    connection: DbConnection
    schema: Schema
    settings: Sequence[Statement]
    role: str | None
    max_rows: int | None = None
    policy: Policy | None = None
    """What the caller may do; None is everything."""
    sets_output: bool = False
    """Whether `settings` also change how dates are written and read."""
    runs_code: bool = True
    """Whether triggers or functions may run, whose changes must be counted."""
    template: PlanTemplate | None = None
    shape: RequestShape | None = None
    baseline: CounterBaseline | None = None
    """Set while the changes that code makes are counted."""

    @property
    def has_canonical_output(self) -> bool:
        """Literals mean the same to the caller and under AS_OWNER."""
        return not self.sets_output and has_canonical_output(self.connection)

    def can_read_keys(self, table: Table) -> bool:
        """Whether the connection's role can read the text of keys that the caller's statements return."""
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
        return CascadeLimits(self.max_rows, self.policy)

    def write(self, name: Hashable, build: Callable[[Builder], str]) -> Statement:
        """A statement of the plan, from its template where there is one."""
        if self.template is not None and self.shape is not None:
            return self.template.fill(name, self.shape, build)
        builder = Builder()
        return builder.statement(build(builder))

    def as_caller(self, statement: Statement) -> tuple[Statement, ...]:
        return (AS_SESSION, *self.settings, statement)

    def add_deferred_check(self, pipeline: Pipeline) -> None:
        """Leaves the caller's role, with our search path."""
        add_deferred_check(pipeline, self.as_caller(FINISH))

    def check_row_limit(self, count: int) -> None:
        if self.max_rows is not None and count > self.max_rows:
            raise row_limit(self.max_rows)


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """A write whose transaction is still open: its result, the rows that it changed, and changes without a record."""

    result: Result
    changes: tuple[RowChange, ...]
    xid: int
    uncaptured: tuple[UncapturedChanges, ...] = ()
    tracked: tuple[TrackedRows, ...] = ()
    """The rows of `changes`, and rows that were written and are as they were."""
    is_repeatable: bool = False
    """Whether the plan may be used again for requests of the same shape: it took the fast path."""


async def open_transaction(context: WriteContext) -> list[Statement]:
    """What is left to send before the first statement: BEGIN, unless the counters had to be read first."""
    if context.baseline is None:
        return [BEGIN]
    answers = await Pipeline(BEGIN, OWN_NAMES).named("counts", COUNT_CHANGES).run(context.connection)
    context.baseline.counts = read_counts(answers["counts"], context.schema)
    return []


def is_merge(plan: InsertPlan) -> bool:
    return plan.is_upsert and plan.resolution == "merge-duplicates"


def check_nothing_deferred(answers: Mapping[str, Rows]) -> None:
    """Raises NotCaptured where triggers have deferred something to the COMMIT."""
    if not is_nothing_deferred(answers):
        raise trigger_deferred()


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
    return make_row_change(
        table, before.image if before else None, after.image if after else None, cause, set_columns=set_columns
    )


async def write_and_read(
    context: WriteContext, plan: DatabasePlan, statement: Statement, *reads: Statement
) -> tuple[Result, list[Rows]]:
    """Runs the caller's statement, then `reads` as the connection's own role, in one round trip."""
    pipeline = Pipeline(AS_SESSION, *context.settings).named("write", statement).then(FINISH, AS_OWNER)
    for place, read in enumerate(reads):
        pipeline.named(f"read {place}", read)
    answers = await pipeline.run(context.connection)
    return read_result(plan, answers["write"]), [answers[f"read {place}"] for place in range(len(reads))]


async def read_cascaded_after(
    context: WriteContext, cascades: CascadeSet, parents_after: dict[int, RowImage]
) -> tuple[list[RowChange], list[TrackedRows]]:
    """What became of the cascaded rows. `parents_after` maps id() of a parent's image before to its image after."""
    changes: list[RowChange] = []
    tracked: list[TrackedRows] = []
    for group in cascades.list_by_table():
        table = group[0].table
        identities = [_identity_after(cascaded, parents_after) for cascaded in group]
        (rows,) = await run_as_owner(context.connection, [select_by_identity(table, identities, lock=False)])
        after = by_identity(table, rows)
        lost = [one for one, identity in zip(group, identities, strict=True) if identity not in after]
        moved = await _find_moved(context, table, lost, after)
        made: list[RowChange | None] = []
        for cascaded, identity in zip(group, identities, strict=True):
            found = after.get(identity) or moved.get(cascaded.row.identity)
            if found is not None:
                parents_after[id(cascaded.row)] = found
            made.append(make_change(table, cascaded.row, found, cascaded.cause, set_columns=cascaded.changed))
        changed = drop_unchanged(made)
        if changed:
            context.cascade_limits.check_table(table)
        changes += changed
        now = frozenset([*after, *(row.identity for row in moved.values())])
        tracked.append(TrackedRows(table, sum(one.verb == "update" for one in changed), now))
    return changes, tracked


def _identity_after(cascaded: CascadedRow, parents_after: dict[int, RowImage]) -> Identity:
    """The identity with the parent's new value in it, where ON UPDATE CASCADE copied that into the child's key."""
    parent = parents_after.get(id(cascaded.parent)) if cascaded.parent is not None else None
    if parent is None or not cascaded.carries:
        return cascaded.row.identity
    carried = {column: parent.image.exact[ref] or "" for column, ref in cascaded.carries}
    return replace_values(cascaded.row.identity, key_columns(cascaded.table), carried)


async def _find_moved(
    context: WriteContext, table: Table, lost: Sequence[CascadedRow], found: Mapping[Identity, RowImage]
) -> dict[Identity, RowImage]:
    """Rows whose new identity cannot be computed: they are among those that this transaction wrote."""
    moving = [cascaded for cascaded in lost if cascaded.moves]
    if not moving:
        return {}
    (rows,) = await run_as_owner(context.connection, [select_written_here(table)])
    written = [row for row in read_images(table, rows) if row.identity not in found]
    moved: dict[Identity, RowImage] = {}
    for changed in {cascaded.changed for cascaded in moving}:
        group = [cascaded.row for cascaded in moving if cascaded.changed == changed]
        moved.update(match_moved(table, group, written, changed))
    return moved


def match_moved(
    table: Table, before: Sequence[RowImage], after: Sequence[RowImage], changed: frozenset[str]
) -> dict[Identity, RowImage]:
    """By identity before, the row after that agrees in all columns that did not change."""
    matching = match_by_columns(before, after, stable_columns(table, changed))
    return {old.identity: new for old, new in matching.pairs}
