from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.fixtures.bench import Bench, BenchAgent
from tests.undo.support import UndoWorld

OpenWorld = Callable[[str], Awaitable[UndoWorld]]


@pytest.fixture
async def agent(bench: Bench) -> BenchAgent:
    """On the project of a file's own `bench`."""
    return await bench.agent(maxRowsPerWrite=5000)


@pytest.fixture
async def world(database: str) -> AsyncIterator[UndoWorld]:
    """An empty database, for tests that make tables of their own."""
    opened = await UndoWorld.open(database)
    yield opened
    await opened.connection.close()


@pytest.fixture
async def open_world(database: str) -> AsyncIterator[OpenWorld]:
    """`await open_world(ddl)`: an empty database of this test's own, with these tables."""
    worlds: list[UndoWorld] = []

    async def make(ddl: str) -> UndoWorld:
        world = await UndoWorld.open(database, ddl)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        await world.connection.close()
