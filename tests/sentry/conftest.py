"""Databases with what a Supabase project begins with, for the sentry to look at."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from pgrest import DbConnection, Pool
from tests.fixtures.postgres import PostgresServer

_SUPABASE = (Path(__file__).parent / "supabase.sql").read_text()
Acquire = Callable[[], AbstractAsyncContextManager[DbConnection]]
_ROLES = "DO $$ BEGIN CREATE ROLE {}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"


@dataclass(frozen=True)
class ScannedDatabase:
    """`admin` is the superuser, each statement on its own; `acquire` is how the sentry gets a connection."""

    dsn: str
    admin: psycopg.AsyncConnection
    acquire: Acquire

    async def run(self, script: str) -> None:
        await self.admin.execute(script.encode())


@pytest.fixture(scope="session")
async def supabase_template(postgres: PostgresServer) -> AsyncIterator[str]:
    """A database to be copied: its roles are the server's."""
    dsn = await postgres.create_database()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
        for role in ("anon", "authenticated", "service_role BYPASSRLS"):  # the demo shares the last one
            await admin.execute(_ROLES.format(role).encode())
        await admin.execute(_SUPABASE.encode())
    yield dsn.rpartition("/")[2]
    await postgres.drop_database(dsn)


@pytest.fixture
async def scanned(postgres: PostgresServer, supabase_template: str) -> AsyncIterator[ScannedDatabase]:
    dsn = await postgres.create_database(supabase_template)
    try:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin, open_pool(dsn) as acquire:
            yield ScannedDatabase(dsn, admin, acquire)
    finally:
        await postgres.drop_database(dsn)


@pytest.fixture
async def plain_login(scanned: ScannedDatabase) -> str:
    """The address of the same database for a login that is no member of any role."""
    await scanned.run(_ROLES.format("sentry_plain LOGIN PASSWORD 'plain'"))
    parts = urlsplit(scanned.dsn)
    return parts._replace(netloc=f"sentry_plain:plain@{parts.netloc.rpartition('@')[2]}").geturl()


@asynccontextmanager
async def open_pool(dsn: str) -> AsyncIterator[Acquire]:
    async def open_dsn() -> str:
        return dsn

    pool = Pool(open_dsn, max_size=2)

    try:
        yield pool.acquire
    finally:
        await pool.close()
