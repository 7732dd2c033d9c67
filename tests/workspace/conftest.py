"""A small database with one of everything that the data pages have to show and to edit."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from basewarden.core.addresses import row_path, table_path
from tests.fakes.supabase import Supabase
from tests.fixtures.app import ServedProduct
from tests.fixtures.bench import Backend
from tests.fixtures.postgres import PostgresServer

SCHEMA = Path(__file__).with_name("store.sql").read_text()


@dataclass(frozen=True)
class Store:
    """A connection to the small database, the one who owns it, and a way round Basewarden."""

    connection_id: str
    owner: httpx.AsyncClient
    behind: psycopg.AsyncConnection[tuple[object, ...]]

    @property
    def data(self) -> str:
        return f"/c/{self.connection_id}/data"

    def table(self, name: str) -> str:
        return table_path(self.connection_id, "public", name)

    def row(self, name: str, *key: str) -> str:
        return row_path(self.connection_id, "public", name, key)

    async def ask(self, query: str) -> object:
        cursor = await self.behind.execute(query.encode())
        row = await cursor.fetchone()
        return row[0] if row else None


@pytest.fixture(scope="session")
async def store_template(postgres: PostgresServer) -> str:
    dsn = await postgres.create_database()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
        await admin.execute(SCHEMA.encode())
    return dsn.rpartition("/")[2]


@pytest.fixture
async def store(
    postgres: PostgresServer,
    store_template: str,
    product: ServedProduct,
    owner: httpx.AsyncClient,
    supabase: Supabase,
    backend: Backend,
) -> AsyncIterator[Store]:
    dsn = await postgres.create_database(template=store_template)
    role = urlsplit(dsn).username or ""
    async with AsyncExitStack() as stack:
        if backend == "api":
            project = await stack.enter_async_context(supabase.project(dsn, role))
            reached = {"url": project.url, "key": project.legacy_key(role)}
        else:
            reached = {"postgresUrl": dsn}
        made = await owner.post("/api/connections", json={"name": "Store", **reached})
        assert made.status_code == 201, made.text
        behind = await stack.enter_async_context(await psycopg.AsyncConnection.connect(dsn, autocommit=True))
        yield Store(made.json()["id"], owner, behind)
    await postgres.drop_database(dsn)
