"""Makes the statements of an undo: all changes of a stage are one statement of several parts.

PostgreSQL checks foreign keys, and runs their actions, when a statement has ended: within one statement, cycles of
references, self references and rows that change their parent need no order. Unique keys are checked row by row: so the
parts run one after the other, and rows that give up values come before rows that take them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from basewarden.gateway.direct import ROW_ALIAS
from basewarden.undo.direct.row_source import WANTED, quote_table, unnest_rows
from basewarden.undo.direct.statement_order import PlaceholderState, StageOrder
from basewarden.undo.direct.table_facts import TableFacts
from basewarden.undo.planning.plan import Action, RowPlan
from basewarden.undo.planning.row_reader import Exact, Key
from pgrest import Builder, Statement, Table, operator_sql, quote_ident, same_sql

_ORDER: tuple[Action, ...] = ("delete", "update", "insert")
_MOST_SETS = 12
"""The most frequent sets of columns are parts of their own; all other updates of a table are one sparse part."""
_MOST_PARTS = 400
_MOST_PARAMETERS = 50_000
"""PostgreSQL accepts 65,535 for each statement."""


@dataclass(frozen=True, slots=True)
class Step:
    """One part: rows of one table. `keys` are their present keys, `values` what they get in `columns`.

    `is_sparse`: each row has one value, a JSON object of those columns that it gets, by their number in `columns`.
    """

    action: Action
    table: Table
    columns: tuple[str, ...]
    keys: tuple[Key, ...]
    values: tuple[Exact, ...]
    is_sparse: bool = False

    @property
    def parameters(self) -> int:
        return len(self.table.key) + (1 if self.is_sparse else len(self.columns))


@dataclass(frozen=True, slots=True)
class _PartOrder:
    """What distinguishes parts, in the order in which they run."""

    stage: int
    action: int
    rank: int
    table: int


@dataclass(frozen=True, slots=True)
class _RowWrite:
    action: Action
    table: Table
    key: Key
    columns: tuple[str, ...]
    row: RowPlan

    @property
    def values(self) -> Exact:
        return tuple((self.row.target or {})[name] for name in self.columns)


def make_stages(
    rows: Sequence[RowPlan],
    stage_order: StageOrder,
    placeholders: PlaceholderState,
    replaced: Iterable[int],
    facts: TableFacts,
) -> list[list[Step]]:
    """The parts of each statement in their order. `replaced` rows are deleted and inserted."""
    groups: dict[_PartOrder, list[_RowWrite]] = {}
    twice = frozenset(replaced)
    for number, row in enumerate(rows):
        stage, rank = stage_order.of(number)
        for write in _list_writes(row, placeholders.find_key(rows, number), is_replaced=number in twice):
            part = _PartOrder(stage, _ORDER.index(write.action), rank, row.table.oid)
            groups.setdefault(part, []).append(write)
    stages: dict[int, list[Step]] = {}
    for part in sorted(groups, key=lambda part: (part.stage, part.action, part.rank)):
        writes = groups[part]
        stages.setdefault(part.stage, []).extend(_make_steps(writes, facts.watched.get(part.table, frozenset())))
    return [part for stage in sorted(stages) for part in split_steps(stages[stage])]


def _list_writes(row: RowPlan, key: Key, *, is_replaced: bool) -> Iterable[_RowWrite]:
    if not is_replaced:
        yield _RowWrite(row.action, row.table, key, row.written, row)
        return
    whole = tuple(name for name in row.target or () if not row.table.columns[name].generated)
    yield _RowWrite("delete", row.table, key, (), row)
    yield _RowWrite("insert", row.table, key, whole, row)


def _make_steps(writes: Sequence[_RowWrite], watched: frozenset[str]) -> Iterable[Step]:
    """`watched` columns make triggers run when they are named, so updates without them are in other parts."""
    sets: dict[tuple[str, ...], list[_RowWrite]] = {}
    for write in writes:
        sets.setdefault(write.columns, []).append(write)
    ordered = sorted(sets.values(), key=len, reverse=True)
    can_be_sparse = writes[0].action == "update" and len(sets) > _MOST_SETS
    apart = ordered[:_MOST_SETS] if can_be_sparse else ordered
    yield from (_make_step(group) for group in apart)
    others: dict[frozenset[str], list[_RowWrite]] = {}
    for group in ordered[len(apart) :]:
        others.setdefault(watched.intersection(group[0].columns), []).extend(group)
    yield from (_make_sparse(group) for group in others.values())


def _make_step(writes: Sequence[_RowWrite]) -> Step:
    first = writes[0]
    values = tuple(write.values for write in writes)
    return Step(first.action, first.table, first.columns, tuple(write.key for write in writes), values)


def _make_sparse(writes: Sequence[_RowWrite]) -> Step:
    table = writes[0].table
    columns = tuple(dict.fromkeys(name for write in writes for name in write.columns))
    numbers = {name: str(number) for number, name in enumerate(columns)}
    values = tuple(
        (msgspec.json.encode({numbers[name]: (write.row.target or {})[name] for name in write.columns}).decode(),)
        for write in writes
    )
    return Step("update", table, columns, tuple(write.key for write in writes), values, is_sparse=True)


def split_steps(steps: Sequence[Step]) -> Iterable[list[Step]]:
    """Splits parts into statements within PostgreSQL's limits."""
    part: list[Step] = []
    parameters = 0
    for step in steps:
        parameters += step.parameters
        if part and (len(part) == _MOST_PARTS or parameters > _MOST_PARAMETERS):
            yield part
            part, parameters = [], step.parameters
        part.append(step)
    yield part


def merge_steps(steps: Sequence[Step]) -> Statement:
    builder = Builder()
    parts = []
    for number, step in enumerate(steps):
        after_part_before = f"(SELECT pg_catalog.count(*) FROM s{number - 1}) {operator_sql(None, '>=')} 0"
        condition = after_part_before if number else "true"
        parts.append(f"s{number} AS ({_write_step(builder, step, condition)} RETURNING 1)")
    counts = ", ".join(f"(SELECT pg_catalog.count(*) FROM s{number})" for number in range(len(steps)))
    return builder.statement(f"WITH {', '.join(parts)} SELECT {counts}")


def write_alone(step: Step) -> Statement:
    builder = Builder()
    return builder.statement(_write_step(builder, step, "true"))


def make_update(table: Table, columns: tuple[str, ...], rows: Mapping[Key, Exact]) -> Step:
    return Step("update", table, columns, tuple(rows), tuple(rows.values()))


def _write_step(builder: Builder, step: Step, condition: str) -> str:
    if step.action == "insert":
        return _write_insert(builder, step, condition)
    keys = [f"k{index}" for index in range(len(step.table.key))]
    target = f"{quote_table(step.table)} AS {ROW_ALIAS}"
    match = " AND ".join(
        same_sql(step.table, column, f"{ROW_ALIAS}.{quote_ident(column)}", _cast(step.table, column, name))
        for column, name in zip(step.table.key, keys, strict=True)
    )
    if step.action == "delete":
        return f"DELETE FROM {target} USING {unnest_rows(builder, step.keys, keys)} WHERE {match} AND {condition}"
    data = [(*key, *value) for key, value in zip(step.keys, step.values, strict=True)]
    sets, source = (_write_sparse if step.is_sparse else _write_sets)(builder, step, data, keys)
    return f"UPDATE {target} SET {sets} FROM {source} WHERE {match} AND {condition}"


def _write_sets(builder: Builder, step: Step, data: Sequence[Exact], keys: Sequence[str]) -> tuple[str, str]:
    names = [f"v{index}" for index in range(len(step.columns))]
    sets = ", ".join(
        f"{quote_ident(column)} = {_cast(step.table, column, name)}"
        for column, name in zip(step.columns, names, strict=True)
    )
    return sets, unnest_rows(builder, data, [*keys, *names])


def _write_sparse(builder: Builder, step: Step, data: Sequence[Exact], keys: Sequence[str]) -> tuple[str, str]:
    sets = ", ".join(_set_if_given(step.table, number, column) for number, column in enumerate(step.columns))
    rows = unnest_rows(builder, data, [*keys, "doc"])
    columns = "".join(f"{WANTED}.{key}, " for key in keys)
    # OFFSET 0: each document is parsed once, not once for each column
    return sets, f"(SELECT {columns}{WANTED}.doc::pg_catalog.jsonb AS doc FROM {rows} OFFSET 0) AS {WANTED}"


def _set_if_given(table: Table, number: int, column: str) -> str:
    name, doc = quote_ident(column), f"{WANTED}.doc"
    value = f"({doc} {operator_sql(None, '->>')} '{number}')::{table.columns[column].type}"
    return f"{name} = CASE WHEN {doc} {operator_sql(None, '?')} '{number}' THEN {value} ELSE {ROW_ALIAS}.{name} END"


def _write_insert(builder: Builder, step: Step, condition: str) -> str:
    """OVERRIDING SYSTEM VALUE: a restored row gets its former identity value, not a new one."""
    names = [f"v{index}" for index in range(len(step.columns))]
    source = unnest_rows(builder, step.values, names)
    columns = ", ".join(quote_ident(column) for column in step.columns)
    values = ", ".join(_cast(step.table, column, name) for column, name in zip(step.columns, names, strict=True))
    return (
        f"INSERT INTO {quote_table(step.table)} ({columns}) OVERRIDING SYSTEM VALUE "
        f"SELECT {values} FROM {source} WHERE {condition} ORDER BY {WANTED}.ord"
    )


def _cast(table: Table, column: str, name: str) -> str:
    return f"{WANTED}.{name}::{table.columns[column].type}"
