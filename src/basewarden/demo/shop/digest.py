"""Digests of whole tables, which change with any bit of their data."""

from psycopg import AsyncConnection, IsolationLevel, sql

# With these settings, every type's text form is exact. With row_security off, a role that a policy restricts gets an
# error instead of a digest of its visible rows.
EXACT_TEXT = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "row_security": "off",
}

# The text of a whole row is quoted: NULL, '' and 'NULL' differ, and so do JSON null and SQL NULL.
DIGEST_ROWS = """
    SELECT encode(sha256(coalesce(string_agg(digest, '' ORDER BY digest), '')), 'hex')
    FROM (SELECT sha256(convert_to(row(t.*)::text, 'UTF8')) AS digest FROM ONLY {} AS t) AS digests
"""

LIST_TABLES = """
    SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind = 'r' AND relpersistence <> 't' AND nspname NOT IN ('pg_catalog', 'information_schema')
    ORDER BY nspname, relname
"""


async def digest_tables(dsn: str) -> dict[str, str]:
    """Maps `schema.table` to a SHA-256 over its rows, independent of their order, in one snapshot for all tables."""
    async with await AsyncConnection.connect(dsn) as connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        for name, value in EXACT_TEXT.items():
            await connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        tables = await (await connection.execute(LIST_TABLES)).fetchall()
        return {
            f"{schema}.{table}": await _digest_table(connection, sql.Identifier(schema, table))
            for schema, table in tables
        }


async def _digest_table(connection: AsyncConnection, table: sql.Identifier) -> str:
    cursor = await connection.execute(sql.SQL(DIGEST_ROWS).format(table))
    [(digest,)] = await cursor.fetchall()
    return str(digest)
