from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from basewarden.journal import Recorder
from tests.api_backend.api_bench import ApiBench, open_api_bench
from tests.fixtures.journal import JournalDatabase, open_journal
from tests.fixtures.postgres import PostgresServer

OpenProject = Callable[..., Awaitable[ApiBench]]


@pytest.fixture(scope="session")
async def shared_journal(postgres: PostgresServer, template_database: str) -> AsyncIterator[JournalDatabase]:
    """One journal for all: every bench has an agent of its own."""
    dsn = await postgres.create_database(template=template_database)
    async with open_journal(dsn) as journal:
        yield journal
    await postgres.drop_database(dsn)


@pytest.fixture(scope="session")
async def shared_recorder(shared_journal: JournalDatabase) -> Recorder:
    return await shared_journal.recorder()


@pytest.fixture
async def open_project(
    postgres: PostgresServer, shared_journal: JournalDatabase, shared_recorder: Recorder
) -> AsyncIterator[OpenProject]:
    """`await open_project(ddl)`: a database of this test's own behind its API."""
    async with AsyncExitStack() as stack:

        async def open_one(script: str, **settings: str) -> ApiBench:
            dsn = await postgres.create_database()
            stack.push_async_callback(postgres.drop_database, dsn)
            return await stack.enter_async_context(
                open_api_bench(dsn, script, shared_journal, shared_recorder, **settings)
            )

        yield open_one
