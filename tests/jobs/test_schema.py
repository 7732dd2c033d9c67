"""The library's schema is ours to upgrade: a new release of it that changes its schema needs a migration."""

import hashlib
import re
from collections.abc import Iterable

import psycopg
from procrastinate.schema import SchemaManager
from psycopg import sql

from tests.fixtures.postgres import PostgresServer

MIGRATED = "d6d67256f90bd662c709c18a3fb830aa4b0227b04d11a9e78e627872a33de1f1"
"""Of the schema that the migrations end with: see decision 9 before this line is changed."""


def find_fingerprint(script: str) -> str:
    """Of what PostgreSQL reads: comments and the way it is laid out do not count."""
    without_comments = re.sub(r"--.*", "", script)
    return hashlib.sha256(" ".join(without_comments.split()).encode()).hexdigest()


def test_the_installed_library_has_the_schema_that_we_migrate_to() -> None:
    assert find_fingerprint(SchemaManager.get_schema()) == MIGRATED


async def test_the_migrated_database_has_what_the_library_asks_for(
    postgres: PostgresServer, database: str, app_database: str
) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as empty:
        await empty.execute(sql.SQL(SchemaManager.get_schema()))
    assert await describe(app_database) == await describe(database)


async def describe(dsn: str) -> list[Iterable[str]]:
    """Every function, trigger, column, type and index of the library."""
    queries = (
        b"SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname LIKE 'procrastinate%' ORDER BY 1",
        b"SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE 'procrastinate%' ORDER BY 1",
        (
            b"SELECT table_name || column_name || data_type || coalesce(column_default, '') || is_nullable"
            b" FROM information_schema.columns WHERE table_name LIKE 'procrastinate%' ORDER BY 1"
        ),
        b"SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'procrastinate%' ORDER BY 1",
        (
            b"SELECT enumlabel::text FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid"
            b" WHERE typname LIKE 'procrastinate%' ORDER BY enumtypid::regtype::text, enumsortorder"
        ),
    )
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found: list[Iterable[str]] = [
            [text for (text,) in await (await connection.execute(query)).fetchall()] for query in queries
        ]
    assert all(found)
    return found
