"""A database with one of everything, and the server app in front of it without a socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest

from pgrest import DbConnection, Pool, Schema, load_schema
from pgrest.config import RestConfig
from pgrest.jwt import JwtRules, read_keys
from pgrest.server import RestServer
from pgrest.settings import PoolSettings, ServerSettings
from tests.fixtures.postgres import PostgresServer

SECRET = b"a secret of at least thirty-two bytes"
SHOP = (Path(__file__).parent / "shop.sql").read_text()


@dataclass(frozen=True, slots=True)
class PgrestAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks ASGI to the app in this process."""

    app: RestServer

    async def send(
        self, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> PgrestAnswer:
        path, _, query = target.partition("?")
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent: list[Any] = []
        to_read = iter([{"type": "http.request", "body": raw}])

        async def receive() -> dict[str, Any]:
            return next(to_read, None) or await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        }
        await self.app(scope, receive, send)
        received = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return PgrestAnswer(sent[0]["status"], received, sent[1]["body"])

    async def get(self, target: str, **headers: str) -> PgrestAnswer:
        return await self.send("GET", target, None, _named(headers))

    async def post(self, target: str, body: Any, **headers: str) -> PgrestAnswer:
        return await self.send("POST", target, body, _named(headers))

    async def patch(self, target: str, body: Any, **headers: str) -> PgrestAnswer:
        return await self.send("PATCH", target, body, _named(headers))

    async def delete(self, target: str, **headers: str) -> PgrestAnswer:
        return await self.send("DELETE", target, None, _named(headers))


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def settings_for(dsn: str, rest: RestConfig) -> ServerSettings:
    return ServerSettings(
        dsn=dsn,
        rest=rest,
        jwt=JwtRules(keys=read_keys(SECRET)),
        anon_role="web_anon",
        pool=PoolSettings(size=4, wait_seconds=2),
        listens=False,
    )


@pytest.fixture(scope="session")
async def shop_template(postgres: PostgresServer) -> str:
    dsn = await postgres.create_database()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute(SHOP.encode())
    return dsn.rpartition("/")[2].partition("?")[0]


@pytest.fixture
async def shop(postgres: PostgresServer, shop_template: str) -> AsyncIterator[str]:
    """The address of a fresh copy of the shop."""
    dsn = await postgres.create_database(template=shop_template)
    yield dsn
    await postgres.drop_database(dsn)


@asynccontextmanager
async def open_client(dsn: str, rest: RestConfig) -> AsyncIterator[Client]:
    app = RestServer(settings_for(dsn, rest))
    await app.start()
    try:
        yield Client(app)
    finally:
        await app.stop()


@pytest.fixture
async def client(shop: str) -> AsyncIterator[Client]:
    async with open_client(shop, RestConfig(schemas=("public",), tx_override=True)) as client:
        yield client


@pytest.fixture
async def conn(shop: str) -> AsyncIterator[DbConnection]:
    connection = await DbConnection.connect(shop)
    yield connection
    await connection.close()


@pytest.fixture
async def schema(conn: DbConnection) -> Schema:
    return await load_schema(conn, ["public"])


@pytest.fixture
async def pool(shop: str) -> AsyncIterator[Pool]:
    made = Pool(shop, max_size=2, wait_seconds=2)
    yield made
    await made.close()
