from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import psycopg
import pytest
from psycopg.rows import dict_row
from tests.api_backend.bench import ApiBench, open_api_bench

from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.journal import Recorder, ensure_partitions
from tests.fixtures.desk import JournalDatabase, make_connection
from tests.fixtures.postgres import PostgresServer

OpenProject = Callable[..., Awaitable[ApiBench]]


@pytest.fixture(scope="session")
async def shared_desk(postgres: PostgresServer, template_database: str) -> AsyncIterator[JournalDatabase]:
    """One journal for all: every bench has an agent of its own."""
    dsn = await postgres.create_database(template=template_database)
    database = Database(Secret(dsn))
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row) as admin:
        async with database.unit_of_work() as unit:
            await ensure_partitions(unit)
        desk = JournalDatabase(dsn, database, await make_connection(admin), admin)
        yield desk
        for recorder, listener in desk.started:
            await recorder.stop()
            await listener.stop()
    await database.close()
    await postgres.drop_database(dsn)


@pytest.fixture(scope="session")
async def shared_recorder(shared_desk: JournalDatabase) -> Recorder:
    return await shared_desk.recorder()


@pytest.fixture
async def open_project(
    postgres: PostgresServer, shared_desk: JournalDatabase, shared_recorder: Recorder
) -> AsyncIterator[OpenProject]:
    """`await open_project(ddl)`: a database of this test's own behind its API."""
    async with AsyncExitStack() as stack:

        async def open_one(script: str, **settings: str) -> ApiBench:
            dsn = await postgres.create_database()
            stack.push_async_callback(postgres.drop_database, dsn)
            return await stack.enter_async_context(
                open_api_bench(dsn, script, shared_desk, shared_recorder, **settings)
            )

        yield open_one
