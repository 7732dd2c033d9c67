from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.undo.support import UndoWorld

OpenWorld = Callable[[str], Awaitable[UndoWorld]]


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
