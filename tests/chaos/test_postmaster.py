"""kill -9 of the PostgreSQL that holds both databases, under load, while the product serves."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from basewarden.db.embedded import EmbeddedServer, start_embedded
from basewarden.db.embedded.cluster import find_postmaster
from tests.chaos.audit import install_audit
from tests.chaos.load import Office, Outcomes, open_office, write_until_gone
from tests.chaos.rounds import compare_with_truth, wait_settled
from tests.chaos.serving import Deployment, Serving
from tests.chaos.worlds import SMALL
from tests.fixtures.ports import reserve_port
from tests.fixtures.waiting import wait_until

BACK_SECONDS = 30
ERROR_FIELDS = {"code", "message", "details", "hint"}


@pytest.fixture
async def own_server(data_dir: Path) -> AsyncIterator[EmbeddedServer]:
    server = await start_embedded(data_dir, progress=lambda _: None)
    yield server
    await server.stop()


async def kill_postmaster(server: EmbeddedServer) -> None:
    """Returns when its port is closed."""
    postmaster = find_postmaster(server._cluster.data)
    assert postmaster is not None
    os.kill(postmaster.pid, signal.SIGKILL)
    await wait_until(
        lambda: find_postmaster(server._cluster.data) is None, "the postmaster to end", seconds=BACK_SECONDS
    )
    await server.stop()


async def read_one(office: Office) -> httpx.Response:
    return await office.person.get(f"{office.api()}/clients?limit=1")


@pytest.mark.slow
async def test_a_killed_postmaster_is_a_clean_error_and_then_over(own_server: EmbeddedServer, data_dir: Path) -> None:
    for name in ("own", "project"):
        await own_server.create_database(name)
    own, project = own_server.dsn("own"), own_server.dsn("project")
    await SMALL.fill(project)
    await install_audit(project)
    deployment = Deployment(own, reserve_port())
    serving = await Serving.start(deployment)
    again: EmbeddedServer | None = None
    try:
        async with open_office(deployment.origin, project, None) as office:
            outcomes = Outcomes()
            load = asyncio.create_task(write_until_gone(deployment.origin, office, SMALL, 1, outcomes))
            await outcomes.first.wait()
            await asyncio.sleep(0.3)  # some way into the load, at no chosen moment

            await kill_postmaster(own_server)
            refused = await read_one(office)
            assert refused.status_code == 503, refused.text
            assert refused.json().keys() == ERROR_FIELDS
            assert own.rpartition("@")[2] not in refused.text

            again = await start_embedded(data_dir, progress=lambda _: None, port=own_server.port)
            await wait_until(
                lambda: read_one(office),
                "the product to find its databases again",
                matches=lambda answer: answer.status_code == 200,
                seconds=BACK_SECONDS,
            )
            known = outcomes.statuses.total()
            await wait_until(
                lambda: (outcomes.statuses, [line for line in deployment.said if "journal." in line][-3:]),
                "writes to succeed again",
                matches=lambda _: outcomes.statuses.total() >= known + 20,
                seconds=BACK_SECONDS,
            )

            await wait_settled(deployment, office)
            await serving.kill()
            await load
            serving = await Serving.start(deployment)
            await wait_settled(deployment, office)
            assert await compare_with_truth(deployment, office, project) > 0
            assert outcomes.statuses[503] > 0
            assert not {500, 502} & outcomes.statuses.keys(), "".join(deployment.said)
    finally:
        await serving.stop()
        if again is not None:
            await again.stop()
