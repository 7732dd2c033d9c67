"""A small database with one of everything that the data pages have to show and to edit."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from basewarden.core.addresses import row_path, table_path
from tests.fixtures.app import Product
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
    postgres: PostgresServer, store_template: str, product: Product, owner: httpx.AsyncClient
) -> AsyncIterator[Store]:
    dsn = await postgres.create_database(template=store_template)
    made = await owner.post("/api/connections", json={"name": "Store", "postgresUrl": dsn})
    assert made.status_code == 201, made.text
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as behind:
        yield Store(made.json()["id"], owner, behind)
    await postgres.drop_database(dsn)
