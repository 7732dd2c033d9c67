from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.undo.support import World

OpenWorld = Callable[[str], Awaitable[World]]


@pytest.fixture
async def open_world(database: str) -> AsyncIterator[OpenWorld]:
    """`await open_world(ddl)`: an empty database of this test's own, with these tables."""
    worlds: list[World] = []

    async def make(ddl: str) -> World:
        world = await World.open(database, ddl)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        await world.connection.close()
