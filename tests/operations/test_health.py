"""Health tells the truth while the database is stopped, frozen, full, and back."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from basewarden import __version__
from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.db.embedded import EmbeddedServer, start_embedded
from basewarden.db.embedded.cluster import find_cluster, find_postmaster
from basewarden.db.migrations.migrate import migrate
from basewarden.operations import Health
from basewarden.web.assets import ensure_assets
from tests.fixtures.app import Serve, ServedProduct, make_settings, serve_product
from tests.fixtures.ports import open_listener
from tests.fixtures.waiting import wait_until

MOST_SECONDS = 2.0
SLACK_SECONDS = 8  # the machine is busy with other tests; without a limit it would be a minute and more
TIMEOUT_SECONDS = 20


@dataclass
class OwnServer:
    """A PostgreSQL of this test's own, which it may stop and freeze."""

    embedded: EmbeddedServer
    data_dir: Path

    async def restart(self) -> None:
        await self.embedded.stop()
        self.embedded = await start_embedded(self.data_dir, progress=lambda _: None, port=self.embedded.port)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Every process of it stands still; its sockets stay open and take connections."""
        pids = self._list_processes()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _list_processes(self) -> list[int]:
        cluster = find_cluster(self.data_dir)
        assert cluster
        postmaster = find_postmaster(cluster.data)
        assert postmaster
        children = Path(f"/proc/{postmaster.pid}/task/{postmaster.pid}/children").read_text().split()
        return [postmaster.pid, *map(int, children)]


@pytest.fixture
async def own_server(data_dir: Path) -> AsyncIterator[OwnServer]:
    server = OwnServer(await start_embedded(data_dir, progress=lambda _: None), data_dir)
    try:
        yield server
    finally:
        await server.embedded.stop()


@asynccontextmanager
async def serving_on(server: OwnServer) -> AsyncIterator[ServedProduct]:
    await ensure_assets(lambda _: None)
    await server.embedded.create_database("basewarden")
    dsn = server.embedded.dsn("basewarden")
    await asyncio.to_thread(migrate, Secret(dsn))
    listener = open_listener()
    settings = make_settings(dsn, f"http://127.0.0.1:{listener.getsockname()[1]}")
    async with serve_product(settings, listener) as product:
        yield product


async def ask(client: httpx.AsyncClient) -> tuple[int, dict[str, Any], float]:
    started = time.monotonic()
    answer = await client.get("/api/health")
    return answer.status_code, answer.json(), time.monotonic() - started


async def wait_for_status(client: httpx.AsyncClient, wanted: int) -> dict[str, Any]:
    _, body, _ = await wait_until(
        lambda: ask(client),
        f"health to be {wanted}",
        matches=lambda answer: answer[0] == wanted,
        seconds=TIMEOUT_SECONDS,
    )
    return body


async def test_a_working_deployment_is_healthy(client: httpx.AsyncClient) -> None:
    status, body, _ = await ask(client)
    assert status == 200
    assert body == {
        "status": "ok",
        "db": True,
        "email": False,
        "billing": False,
        "observability": False,
        "version": __version__,
    }
    live = await client.get("/api/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert (live.headers["content-type"], live.headers["x-frame-options"]) == ("application/json", "DENY")
    assert (await client.post("/api/health/live")).status_code == 405


async def test_it_says_what_is_configured(serve: Serve) -> None:
    changes = {
        "smtp_url": Secret("smtp://127.0.0.1:1"),
        "email_from": "us@example.com",
        "dodo_api_key": Secret("key"),
        "dodo_webhook_secret": Secret("secret"),
        "otel_endpoint": "http://127.0.0.1:1",
    }
    _, body, _ = await ask(await (await serve(changes)).client())
    assert (body["email"], body["billing"], body["observability"]) == (True, True, True)


async def test_it_sees_the_database_stop_freeze_and_come_back(own_server: OwnServer) -> None:
    async with serving_on(own_server) as product:
        client = await product.client()
        person = await product.sign_up("ada@example.com")
        assert (await ask(client))[0] == 200

        with own_server.frozen():
            await asyncio.sleep(1.1)  # what was seen before the freeze is no longer good
            waiting = asyncio.gather(*(ask(client) for _ in range(20)))
            live = await client.get("/api/health/live")
            assert not waiting.done()
            answers = await waiting
            assert {status for status, _, _ in answers} == {503}
            assert max(seconds for _, _, seconds in answers) < MOST_SECONDS + SLACK_SECONDS
            assert live.status_code == 200
            body = answers[0][1]
            assert body == {
                "status": "degraded",
                "db": False,
                "email": False,
                "billing": False,
                "observability": False,
                "version": __version__,
            }
            status, _, seconds = await ask(client)  # with the kept connection given up
            assert (status, seconds < MOST_SECONDS + SLACK_SECONDS) == (503, True)
            assert (await client.get("/status")).status_code == 200
            page = await person.get("/status")  # whose sign-in can no longer be looked up
            assert (page.status_code, 'class="plain"' in page.text) == (200, True)
        assert (await wait_for_status(client, 200))["db"]

        await own_server.embedded.stop()
        await asyncio.sleep(1.1)
        status, _, seconds = await ask(client)
        assert (status, seconds < MOST_SECONDS + SLACK_SECONDS) == (503, True)
        page = await client.get("/status")
        assert page.status_code == 200
        assert "is not responding" in page.text

        own_server.embedded = await start_embedded(
            own_server.data_dir, progress=lambda _: None, port=own_server.embedded.port
        )
        assert (await wait_for_status(client, 200))["db"]


async def test_a_busy_pool_is_not_a_dead_database(product: ServedProduct) -> None:
    database = product.registry.get(Database)
    client = await product.client()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(database.engine.pool.size() + 10):  # type: ignore[attr-defined]  # a QueuePool's
            await stack.enter_async_context(database.read_only())
        status, body, _ = await ask(client)
    assert (status, body["db"]) == (200, True)


async def test_many_askers_share_one_look(product: ServedProduct, app_database: str) -> None:
    client = await product.client()
    await asyncio.gather(*(ask(client) for _ in range(50)))
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'basewarden health'"
        )
        assert await cursor.fetchone() == (1,)


async def test_a_look_is_good_for_a_second(product: ServedProduct) -> None:
    health = product.registry.get(Health)
    assert await health.is_database_up()
    first = health._call._task
    assert await health.is_database_up()
    assert health._call._task is first


async def test_who_stops_waiting_stops_nothing(product: ServedProduct) -> None:
    health = product.registry.get(Health)
    asker = asyncio.create_task(health.is_database_up())
    await asyncio.sleep(0)
    asker.cancel()
    assert await health.is_database_up()
