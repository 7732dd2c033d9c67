"""The statements of an undo. All its row changes are one statement of several parts.

PostgreSQL checks foreign keys, and runs their actions, when a statement has ended: as one statement, circles of
references, self references and rows that change their parent need no order. Unique keys are checked row by row:
so the parts run one after the other, and what gives values up comes before what takes them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from basewarden.gateway.capture.images import ALIAS
from basewarden.pgrest import Builder, Statement, Table, quote_ident
from basewarden.undo.plan import Action, RowPlan
from basewarden.undo.reading import Exact, Key
from basewarden.undo.rows import WANTED, quote_table, unnest_rows

_ORDER: tuple[Action, ...] = ("delete", "update", "insert")


@dataclass(frozen=True, slots=True)
class Step:
    """One part: the same columns of rows of one table. `keys` is where the rows are, `values` what they get."""

    action: Action
    table: Table
    columns: tuple[str, ...]
    keys: tuple[Key, ...]
    values: tuple[Exact, ...]


def make_steps(rows: Iterable[RowPlan], parked: Mapping[tuple[int, Key], Key]) -> list[Step]:
    """`parked`: keys that some rows have for the moment, by table and the key they had."""
    groups: dict[tuple[Action, int, tuple[str, ...]], list[RowPlan]] = {}
    for row in rows:
        groups.setdefault((row.action, row.table.oid, row.written), []).append(row)
    steps = [
        Step(
            action,
            group[0].table,
            columns,
            tuple(_find_key(row, parked) for row in group),
            tuple(tuple((row.target or {})[name] for name in columns) for row in group),
        )
        for (action, _, columns), group in groups.items()
    ]
    return sorted(steps, key=lambda step: _ORDER.index(step.action))


def merge_steps(steps: Sequence[Step]) -> Statement:
    builder = Builder()
    parts = []
    for number, step in enumerate(steps):
        turn = f"(SELECT count(*) FROM s{number - 1}) >= 0" if number else "true"
        parts.append(f"s{number} AS ({_write_step(builder, step, turn)} RETURNING 1)")
    counts = " + ".join(f"(SELECT count(*) FROM s{number})" for number in range(len(steps)))
    return builder.statement(f"WITH {', '.join(parts)} SELECT {counts}")


def _find_key(row: RowPlan, parked: Mapping[tuple[int, Key], Key]) -> Key:
    key = row.current_key or ()
    return parked.get((row.table.oid, key), key)


def write_alone(step: Step) -> Statement:
    builder = Builder()
    return builder.statement(_write_step(builder, step, "true"))


def make_update(table: Table, columns: tuple[str, ...], rows: Mapping[Key, Exact]) -> Step:
    return Step("update", table, columns, tuple(rows), tuple(rows.values()))


def _write_step(builder: Builder, step: Step, turn: str) -> str:
    if step.action == "insert":
        return _write_insert(builder, step, turn)
    keys = [f"k{index}" for index in range(len(step.table.key))]
    values = [f"v{index}" for index in range(len(step.columns))] if step.action == "update" else []
    data = [(*key, *(value if values else ())) for key, value in zip(step.keys, step.values, strict=True)]
    source = unnest_rows(builder, data, [*keys, *values])
    match = " AND ".join(
        f"{ALIAS}.{quote_ident(column)} = {_cast(step.table, column, name)}"
        for column, name in zip(step.table.key, keys, strict=True)
    )
    target = f"{quote_table(step.table)} AS {ALIAS}"
    if step.action == "delete":
        return f"DELETE FROM {target} USING {source} WHERE {match} AND {turn}"
    sets = ", ".join(
        f"{quote_ident(column)} = {_cast(step.table, column, name)}"
        for column, name in zip(step.columns, values, strict=True)
    )
    return f"UPDATE {target} SET {sets} FROM {source} WHERE {match} AND {turn}"


def _write_insert(builder: Builder, step: Step, turn: str) -> str:
    """OVERRIDING SYSTEM VALUE: a row that comes back has its own number, not a new one."""
    names = [f"v{index}" for index in range(len(step.columns))]
    source = unnest_rows(builder, step.values, names)
    columns = ", ".join(quote_ident(column) for column in step.columns)
    values = ", ".join(_cast(step.table, column, name) for column, name in zip(step.columns, names, strict=True))
    return (
        f"INSERT INTO {quote_table(step.table)} ({columns}) OVERRIDING SYSTEM VALUE "
        f"SELECT {values} FROM {source} WHERE {turn} ORDER BY {WANTED}.ord"
    )


def _cast(table: Table, column: str, name: str) -> str:
    return f"{WANTED}.{name}::{table.columns[column].type}"
