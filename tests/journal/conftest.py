"""A migrated database of the journal's own, with a connection to hang sessions on."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from basewarden.core.ids import make_id
from basewarden.core.secret import Secret
from basewarden.db import Database, Listener
from basewarden.journal import Image, Recorder, RowChange, SessionCaller, WriteEntry, ensure_partitions


@dataclass
class Desk:
    """Our database: `recorder()` is one more process, `rows` looks past everybody's back."""

    dsn: str
    database: Database
    connection_id: UUID
    admin: psycopg.AsyncConnection[dict[str, Any]]
    started: list[tuple[Recorder, Listener]] = field(default_factory=list)

    async def recorder(self) -> Recorder:
        listener = Listener(Secret(self.dsn))
        recorder = Recorder(Secret(self.dsn), listener)
        await listener.start()
        await recorder.start()
        self.started.append((recorder, listener))
        return recorder

    async def rows(self, query: str) -> list[dict[str, Any]]:
        return await (await self.admin.execute(query.encode())).fetchall()

    def caller(self, name: str = "robot", **changes: Any) -> SessionCaller:
        wanted = {"kind": "agent", "caller_id": UUID(int=sum(name.encode())), "caller_name": name, **changes}
        return SessionCaller(connection_id=self.connection_id, **wanted)

    def entry(self, *ids: int, caller: SessionCaller | None = None, xid: int = 1, **changes: Any) -> WriteEntry:
        wanted = {"verb": "insert", "schema": "public", "table": "t", "summary": "POST /t", **changes}
        rows = tuple(make_row(one) for one in ids)
        return WriteEntry(caller=caller or self.caller(), xid=xid, **{"changes": rows, **wanted})


def make_row(number: int) -> RowChange:
    image = Image({"id": str(number)}, b'{"id":%d}' % number)
    return RowChange("public", "t", "insert", ("id",), None, image)


@pytest.fixture
async def desk(app_database: str) -> AsyncIterator[Desk]:
    database = Database(Secret(app_database))
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as admin:
        async with database.unit_of_work() as unit:
            await ensure_partitions(unit)
        desk = Desk(app_database, database, await make_connection(admin), admin)
        yield desk
        for recorder, listener in desk.started:
            await recorder.stop()
            await listener.stop()
    await database.close()


async def make_connection(admin: psycopg.AsyncConnection[dict[str, Any]]) -> UUID:
    connection_id = make_id()
    await admin.execute(
        "INSERT INTO connections (id, name, environment, sealed_postgres_url, facts)"
        " VALUES (%s, 'Shop', 'other', '\\x00', '{}')",
        (connection_id,),
    )
    return connection_id
