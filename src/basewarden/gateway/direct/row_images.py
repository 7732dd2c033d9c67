"""Reading whole rows as they are: by the connection's own role, in one fixed output format, under lock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from basewarden.gateway.direct.stat_counters import written_here_sql
from basewarden.gateway.errors import CaptureNotVisible
from basewarden.gateway.recording.sqlstates import INSUFFICIENT_PRIVILEGE
from basewarden.journal import Image
from pgrest import (
    CANONICAL,
    Builder,
    DatabaseError,
    DbConnection,
    Rows,
    Statement,
    Table,
    array_literal,
    key_columns,
    key_type,
    quote_column,
    quote_ident,
    quote_name,
    same_sql,
    set_settings,
    unnest_sql,
)

ALIAS = "bw_row"

# Whatever the database's default is: a check after a write must see the rows as they are then.
BEGIN = Statement("BEGIN ISOLATION LEVEL READ COMMITTED")

# row_security off: a policy that would hide rows from this role is an error, not a gap in the journal. The search path:
# a function or an operator of another role must not be taken for PostgreSQL's own, and run as this role.
AS_OWNER = set_settings(
    {
        "role": "none",
        "search_path": "pg_catalog, pg_temp",
        "row_security": "off",
        "array_nulls": "on",
        "quote_all_identifiers": "off",
        "timezone": "UTC",
        "datestyle": "ISO, MDY",
        "intervalstyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        # a process that was frozen here must not hold the rows' locks for ever
        "idle_in_transaction_session_timeout": "60s",
    },
    is_guard=True,
)


# Undoes AS_OWNER for the caller's statement, whose role and search path follow with the caller's settings: NULL means
# the session's own value.
AS_SESSION = set_settings(
    dict.fromkeys(
        (
            "row_security",
            "array_nulls",
            "quote_all_identifiers",
            "timezone",
            "datestyle",
            "intervalstyle",
            "bytea_output",
            "extra_float_digits",
        )
    )
)
WITH_SESSION_PATH = set_settings({"search_path": None})
"""For writes as the owner: the database's own triggers and defaults may count on the login's search path."""


def has_canonical_output(connection: DbConnection) -> bool:
    """Literals in a filter mean the same to the caller and under AS_OWNER."""
    return all(connection.defaults[name] in values for name, values in CANONICAL.items())


@dataclass(frozen=True, slots=True)
class RowImage:
    """An image, and the row's identity: its key, or where it is stored if the table has none."""

    image: Image
    identity: tuple[str, ...]


def select_images(builder: Builder, table: Table, rest: str, *, lock: bool, limit: int | None = None) -> Statement:
    """The rows' images, then their place if the table has no key."""
    columns = [
        *list_image(table, ALIAS),
        *(f"{ALIAS}.{quote_ident(name)}::pg_catalog.text" for name in _system_columns(table)),
    ]
    tail = f" LIMIT {int(limit)}" if limit is not None else ""
    tail += f" FOR UPDATE OF {ALIAS}" if lock else ""
    return builder.statement(f"SELECT {', '.join(columns)} FROM {quote_name(table.qualified)} AS {ALIAS}{rest}{tail}")


def list_image(table: Table, alias: str) -> list[str]:
    """What an image of a row is made of: every column as it is, and the whole as a JSON object."""
    return [
        *(quote_column(alias, name) for name in table.columns),
        f"pg_catalog.row_to_json({alias}.*)::pg_catalog.text",
    ]


def _system_columns(table: Table) -> tuple[str, ...]:
    return () if table.key else key_columns(table)


def select_by_columns(
    table: Table,
    columns: Sequence[str],
    values: Iterable[Sequence[str]],
    *,
    lock: bool,
    also: str = "",
    limit: int | None = None,
) -> Statement:
    """Rows whose `columns` hold one of `values` (exact text)."""
    builder = Builder()
    rows = list(dict.fromkeys(tuple(value) for value in values))
    names = [f"k{index}" for index in range(len(columns))]
    given = unnest_sql(
        [
            f"{builder.param(array_literal(row[index] for row in rows))}::pg_catalog.text[]"
            for index in range(len(columns))
        ]
    )
    # Each value by itself: unnest would take an array of arrays apart, down to its elements.
    typed = ", ".join(
        f"{name}::{key_type(table, column)} AS {name}" for name, column in zip(names, columns, strict=True)
    )
    keys = f"(SELECT {typed} FROM {given} AS given({', '.join(names)}))"
    match = [
        same_sql(table, column, quote_column(ALIAS, column), f"bw_key.{name}")
        for column, name in zip(columns, names, strict=True)
    ]
    rest = f" JOIN {keys} AS bw_key ON {' AND '.join(match)}{also}"
    return select_images(builder, table, rest, lock=lock, limit=limit)


def select_by_identity(table: Table, identities: Iterable[Sequence[str]], *, lock: bool, also: str = "") -> Statement:
    return select_by_columns(table, key_columns(table), identities, lock=lock, also=also)


def select_written_here(table: Table) -> Statement:
    """Rows that this transaction wrote, also in inner blocks: the slow way, for when nothing reports their keys."""
    return select_images(Builder(), table, f" WHERE {written_here_sql(ALIAS)}", lock=False)


def count_unmatched(table: Table, known: Iterable[Sequence[str]]) -> Statement:
    """How many rows of the table this transaction wrote besides those `known`."""
    builder = Builder()
    columns, rows = key_columns(table), list(known)
    given = unnest_sql(
        [
            f"{builder.param(array_literal(row[index] for row in rows))}::pg_catalog.text[]"
            for index in range(len(columns))
        ]
    )
    identity = ", ".join(f"{quote_column(ALIAS, column)}::pg_catalog.text" for column in columns)
    return builder.statement(
        f"SELECT pg_catalog.count(*) FROM {quote_name(table.qualified)} AS {ALIAS} WHERE {written_here_sql(ALIAS)} "
        f"AND ({identity}) NOT IN (SELECT * FROM {given} AS known)"
    )


def read_images(table: Table, rows: Rows) -> list[RowImage]:
    return [read_image(table, row) for row in rows.rows]


def read_image(table: Table, row: Sequence[bytes | None]) -> RowImage:
    """Reads the columns of `list_image`, and after them the row's place if the table has no key."""
    count = len(table.columns)
    exact = {name: decode(value) for name, value in zip(table.columns, row[:count], strict=True)}
    image = Image(exact, row[count] or b"{}")
    identity = image.key(table.key) if table.key else tuple((value or b"").decode() for value in row[count + 1 :])
    return RowImage(image, identity)


def by_identity(table: Table, rows: Rows) -> dict[tuple[str, ...], RowImage]:
    return {row.identity: row for row in read_images(table, rows)}


async def run_as_owner(
    connection: DbConnection, statements: Sequence[Statement], *, opening: Sequence[Statement] = ()
) -> list[Rows]:
    """The results of `statements`, with a clear refusal where row security would blind the journal."""
    prefix = [*opening, AS_OWNER]
    try:
        return (await connection.run([*prefix, *statements]))[len(prefix) :]
    except DatabaseError as error:
        if error.sqlstate == INSUFFICIENT_PRIVILEGE:
            raise CaptureNotVisible from error
        raise


def decode(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
