"""A host that hangs delays its own probe and no other: no connection of our pool waits with it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest

from basewarden.core.secret import Secret
from basewarden.db import Database, note_waiting
from basewarden.db.holding import FAULTS
from tests.fixtures.app import ProjectDatabase, Serve, ServedProduct
from tests.fixtures.ports import open_listener

PROBES = 26  # more than the pool has connections
ALL_CONNECT_WITHIN_SECONDS = 6  # and before the first one gives up


@dataclass
class Hanging:
    """Takes connections and never says a word."""

    url: str = ""
    arrived: int = 0
    all_arrived: asyncio.Event = field(default_factory=asyncio.Event)
    all_left: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.arrived += 1
        if self.arrived == PROBES:
            self.all_arrived.set()
        while await reader.read(1000):
            pass
        writer.close()
        self.arrived -= 1
        if self.arrived == 0:
            self.all_left.set()


@pytest.fixture
async def hanging() -> AsyncIterator[Hanging]:
    listener, host = open_listener(), Hanging()
    host.url = f"postgresql://u:p@127.0.0.1:{listener.getsockname()[1]}/x"
    server = await asyncio.start_server(host.take, sock=listener)
    yield host
    server.close()


@pytest.fixture
async def selling(serve: Serve) -> ServedProduct:
    """Plans are counted where billing is on, before and after a probe."""
    return await serve({"dodo_api_key": Secret("test"), "dodo_webhook_secret": Secret("whsec_" + "a" * 32)})


async def test_probes_of_a_hanging_host_leave_the_pool_to_others(selling: ServedProduct, hanging: Hanging) -> None:
    people = [await selling.sign_up(f"p{number}@example.com") for number in range(2)]
    other = await selling.sign_up("other@example.com")
    body = {"name": "Slow", "postgresUrl": hanging.url}
    probes = [
        asyncio.create_task(people[number % 2].post("/api/connections", json=body, timeout=60))
        for number in range(PROBES)
    ]
    async with asyncio.timeout(ALL_CONNECT_WITHIN_SECONDS):
        await hanging.all_arrived.wait()
    assert (await other.get("/api/connections")).status_code == 200
    assert not any(probe.done() for probe in probes), "they were to hang meanwhile"
    for probe in probes:
        probe.cancel()
    await asyncio.gather(*probes, return_exceptions=True)
    async with asyncio.timeout(60):
        await hanging.all_left.wait()


async def test_no_page_or_call_waits_for_a_project_with_a_connection_in_hand(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    """What waits elsewhere says so; holding a connection then is noted, and fails where the product is stopped."""
    url = f"/api/connections/{connection_id}"
    assert (await owner.get(f"{url}/health")).status_code == 200
    assert (await owner.patch(url, json={"postgresUrl": project.dsn})).status_code == 200
    for page in (f"/c/{connection_id}?check=1", f"/c/{connection_id}/health"):
        assert (await owner.get(page)).status_code == 200
    assert FAULTS == []


async def test_waiting_with_a_connection_in_hand_is_noticed(product: ServedProduct) -> None:
    database = product.registry.get(Database)
    async with database.read_only() as session:
        note_waiting("somebody")
        assert FAULTS == []
        assert session.info["first"] == "SET TRANSACTION READ ONLY"
        await session.connection()
        note_waiting("somebody")
    note_waiting("somebody")
    assert FAULTS == ["somebody"]
    FAULTS.clear()
