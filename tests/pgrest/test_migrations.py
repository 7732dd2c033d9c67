"""Tables change while the server reads and writes."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import psycopg
import pytest

from pgrest.config import RestConfig
from pgrest.server import RestServer
from tests.fixtures.migrations import BEFORE, ConstantLoad, change_meanwhile
from tests.pgrest.conftest import Client, settings_for


@pytest.fixture
async def busy(database: str) -> AsyncIterator[Client]:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as admin:
        await admin.execute("DO $$ BEGIN CREATE ROLE web_anon; EXCEPTION WHEN duplicate_object THEN END $$")
        await admin.execute(BEFORE.encode())
        await admin.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO web_anon")
        await admin.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO web_anon")
    app = RestServer(settings_for(database, RestConfig(schemas=("public",))))
    await app.start()
    yield Client(app)
    await app.stop()
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as admin:
        await admin.execute("DROP OWNED BY web_anon")


async def test_ddl_in_the_middle_of_load_fails_no_request(busy: Client, database: str) -> None:
    async def send(method: str, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, str]:
        answer = await busy.send(method, path, body, {**headers, "content-type": "application/json"})
        return answer.status, answer.body.decode()

    load = ConstantLoad(send)
    await change_meanwhile(database, load)
    assert load.refused == []
