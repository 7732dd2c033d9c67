"""Reading whole rows as they are: by the connection's own role, in one fixed output format, under lock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from basewarden.gateway.errors import CaptureBlind
from basewarden.journal import Image
from basewarden.pgrest import (
    Builder,
    Connection,
    DatabaseError,
    Rows,
    Statement,
    Table,
    array_literal,
    key_columns,
    key_type,
    quote_column,
    quote_ident,
    quote_literal,
    quote_name,
    told_keys_sql,
)

ALIAS = "bw_row"
_INSUFFICIENT_PRIVILEGE = "42501"
_CANONICAL = {
    "TimeZone": frozenset({"UTC", "Etc/UTC"}),
    "DateStyle": frozenset({"ISO, MDY"}),
    "IntervalStyle": frozenset({"postgres"}),
}

BEGIN = Statement("BEGIN")

# row_security off: a policy that would hide rows from this role is an error, not a gap in the journal.
AS_OWNER = Statement(
    "SELECT set_config('role', 'none', true), set_config('row_security', 'off', true), "
    "set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO, MDY', true), "
    "set_config('intervalstyle', 'postgres', true), set_config('bytea_output', 'hex', true), "
    "set_config('extra_float_digits', '1', true), "
    # a process that was frozen here must not hold the rows' locks for ever
    "set_config('idle_in_transaction_session_timeout', '60s', true)"
)


# Undoes AS_OWNER for the caller's statement, whose role follows with the caller's settings: NULL means the
# session's own value.
AS_SESSION = Statement(
    "SELECT set_config('row_security', NULL, true), set_config('timezone', NULL, true), "
    "set_config('datestyle', NULL, true), set_config('intervalstyle', NULL, true), "
    "set_config('bytea_output', NULL, true), set_config('extra_float_digits', NULL, true)"
)


def has_canonical_output(connection: Connection) -> bool:
    """Literals in a filter mean the same to the caller and under AS_OWNER."""
    return all(connection.defaults[name] in values for name, values in _CANONICAL.items())


@dataclass(frozen=True, slots=True)
class Located:
    """An image, and what tells the row apart: its key, or where it lies when the table has none."""

    image: Image
    identity: tuple[str, ...]


def select_images(builder: Builder, table: Table, rest: str, *, lock: bool, limit: int | None = None) -> Statement:
    return builder.statement(images_sql(table, rest, lock=lock, limit=limit))


def images_sql(table: Table, rest: str, *, lock: bool, limit: int | None = None) -> str:
    """Every column in PostgreSQL's own text, then the JSON object, then what stands in for a missing key."""
    columns = ", ".join(_list_images(table))
    return f"SELECT {columns} {_from_table(table, rest, lock=lock, limit=limit)}"


def lock_images_sql(table: Table, rest: str, setting: str, *, limit: int | None) -> str:
    """The same, under lock, of a table with a key; the keys are told to the statements after it by a setting.

    Each row ends with the transaction's id. Where there is none it answers one without other values.
    """
    values = _list_images(table)
    named = ", ".join(f"{value} AS b{number}" for number, value in enumerate(values))
    places = {name: number for number, name in enumerate(table.columns)}
    key = ", ".join(f"b{places[name]}::text" for name in table.key)
    shown = ", ".join(f"b{number}" for number in range(len(values)))
    return (
        f"WITH bw_locked AS (SELECT {named} {_from_table(table, rest, lock=True, limit=limit)}), "
        f"bw_told AS (SELECT pg_current_xact_id()::text AS xid, set_config({quote_literal(setting)}, "
        f"coalesce(json_agg(json_build_array({key})), '[]')::text, true) FROM bw_locked) "
        f"SELECT {shown}, bw_told.xid FROM bw_told LEFT JOIN bw_locked ON true"
    )


def told_images_sql(table: Table, setting: str) -> str:
    """The rows whose keys a setting tells: looked up one by one.

    Left to choose, the planner scans a table that was small, or not analyzed, when the statement was planned. OFFSET 0
    keeps it from making one join of both.
    """
    values = _list_images(table)
    named = ", ".join(f"{value} AS b{number}" for number, value in enumerate(values))
    shown = ", ".join(f"bw_seen.b{number}" for number in range(len(values)))
    match = " AND ".join(f"{quote_column(ALIAS, name)} = {quote_column('bw_key', name)}" for name in table.key)
    seen = f"SELECT {named} {_from_table(table, f' WHERE {match} OFFSET 0', lock=False, limit=None)}"
    return f"SELECT {shown} FROM {told_keys_sql(table, setting, 'bw_key')}, LATERAL ({seen}) AS bw_seen"


def _list_images(table: Table) -> list[str]:
    return [
        *(f"{ALIAS}.{quote_ident(name)}" for name in table.columns),
        f"row_to_json({ALIAS}.*)::text",
        *(f"{ALIAS}.{quote_ident(name)}::text" for name in _system_columns(table)),
    ]


def _from_table(table: Table, rest: str, *, lock: bool, limit: int | None) -> str:
    tail = f" LIMIT {int(limit)}" if limit is not None else ""
    tail += f" FOR UPDATE OF {ALIAS}" if lock else ""
    return f"FROM {quote_name(table.qualified)} AS {ALIAS}{rest}{tail}"


def _system_columns(table: Table) -> tuple[str, ...]:
    return () if table.key else key_columns(table)


def select_by_columns(
    table: Table, columns: Sequence[str], values: Iterable[Sequence[str]], *, lock: bool, also: str = ""
) -> Statement:
    """Rows whose `columns` hold one of `values` (exact text)."""
    builder = Builder()
    rows = list(dict.fromkeys(tuple(value) for value in values))
    names = [f"k{index}" for index in range(len(columns))]
    arrays = [
        f"{builder.param(array_literal(row[index] for row in rows))}::{key_type(table, column)}[]"
        for index, column in enumerate(columns)
    ]
    match = [f"{quote_column(ALIAS, column)} = bw_key.{name}" for column, name in zip(columns, names, strict=True)]
    rest = f" JOIN unnest({', '.join(arrays)}) AS bw_key({', '.join(names)}) ON {' AND '.join(match)}{also}"
    return select_images(builder, table, rest, lock=lock)


def select_by_identity(table: Table, identities: Iterable[Sequence[str]], *, lock: bool, also: str = "") -> Statement:
    return select_by_columns(table, key_columns(table), identities, lock=lock, also=also)


def select_written_here(table: Table) -> Statement:
    """Rows that this transaction wrote: the slow way, for when nothing tells their keys."""
    return select_images(Builder(), table, f" WHERE {ALIAS}.xmin = pg_current_xact_id()::xid", lock=False)


def read_images(table: Table, rows: Rows) -> list[Located]:
    names = tuple(table.columns)
    count = len(names)
    located = []
    for row in rows.rows:
        if row[count] is None:
            continue  # what `lock_images` answers where there is no row
        exact = {name: decode(value) for name, value in zip(names, row[:count], strict=True)}
        image = Image(exact, row[count] or b"{}")
        identity = image.key(table.key) if table.key else tuple((value or b"").decode() for value in row[count + 1 :])
        located.append(Located(image, identity))
    return located


def by_identity(table: Table, rows: Rows) -> dict[tuple[str, ...], Located]:
    return {row.identity: row for row in read_images(table, rows)}


async def run_as_owner(
    connection: Connection, statements: Sequence[Statement], *, opening: Sequence[Statement] = ()
) -> list[Rows]:
    """The results of `statements`, with a clear refusal where row security would blind the journal."""
    prefix = [*opening, AS_OWNER]
    try:
        return (await connection.run([*prefix, *statements]))[len(prefix) :]
    except DatabaseError as error:
        if error.sqlstate == _INSUFFICIENT_PRIVILEGE:
            raise CaptureBlind from error
        raise


def decode(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
