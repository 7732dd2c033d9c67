"""A signal ends the real command and all that it has started, the embedded PostgreSQL first of all."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from basewarden.db.embedded.cluster import find_cluster, find_postmaster
from tests.fixtures.app import pick_port
from tests.fixtures.waiting import wait_until
from tests.flows.test_commands import CHECKOUT

STARTS_WITHIN_SECONDS = 120
ENDS_WITHIN_SECONDS = 60
OWN = ("DATABASE_URL", "BASEWARDEN_SECRET", "BASEWARDEN_ENCRYPTION_KEY", "BASEWARDEN_ORIGIN")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One embedded database for all of these: making it takes the longest."""
    return tmp_path_factory.mktemp("data")


def find_server(data_dir: Path) -> int | None:
    cluster = find_cluster(data_dir)
    postmaster = find_postmaster(cluster.data) if cluster else None
    return postmaster.pid if postmaster else None


@asynccontextmanager
async def running(data_dir: Path, *arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    with pick_port() as listener:
        port = listener.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if name not in OWN}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "basewarden", *arguments, "--port", str(port)),
        env={**kept, "PYTHONPATH": str(CHECKOUT / "src"), "BASEWARDEN_DATA_DIR": str(data_dir)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process, port
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def wait_for_line(process: asyncio.subprocess.Process, words: str) -> None:
    assert process.stderr is not None
    async with asyncio.timeout(STARTS_WITHIN_SECONDS):
        while line := (await process.stderr.readline()).decode():
            if words in line:
                return
    raise AssertionError(f"it ended without saying {words!r}")


async def end(process: asyncio.subprocess.Process, number: signal.Signals) -> int:
    process.send_signal(number)
    async with asyncio.timeout(ENDS_WITHIN_SECONDS):
        return await process.wait()


async def wait_until_live(port: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await wait_until(  # no event says when workers have started
            lambda: client.get(f"http://127.0.0.1:{port}/api/health/live"),
            "the product to answer",
            matches=lambda _: True,
            seconds=STARTS_WITHIN_SECONDS,
            ignoring=(httpx.TransportError,),
        )
        assert answer.status_code == 200


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_serve_ends_with_its_database(data_dir: Path, number: signal.Signals, code: int) -> None:
    async with running(data_dir, "serve") as (process, port):
        await wait_for_line(process, "Basewarden is running at")
        await wait_until_live(port)
        assert find_server(data_dir) is not None
        assert await end(process, number) == code
    assert find_server(data_dir) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_several_workers_end_with_their_database(data_dir: Path, number: signal.Signals) -> None:
    async with running(data_dir, "serve", "--workers", "2") as (process, port):
        await wait_until_live(port)
        assert find_server(data_dir) is not None
        assert await end(process, number) == 0
    assert find_server(data_dir) is None


@pytest.mark.parametrize("words", ["PostgreSQL answers on port", "Applying database migrations"])
async def test_a_signal_during_the_start_leaves_nothing_behind(data_dir: Path, words: str) -> None:
    async with running(data_dir, "serve") as (process, _):
        await wait_for_line(process, words)
        assert await end(process, signal.SIGTERM) == 0
    assert find_server(data_dir) is None


async def test_the_demo_ends_with_its_database(data_dir: Path) -> None:
    async with running(data_dir, "demo", "--verbose") as (process, _):
        await wait_for_line(process, "Setting up the demo shop")
        assert find_server(data_dir) is not None
        assert await end(process, signal.SIGTERM) == 0
    assert find_server(data_dir) is None


async def test_a_request_under_way_is_answered_before_the_end(data_dir: Path) -> None:
    async with running(data_dir, "serve") as (process, port):
        await wait_for_line(process, "Basewarden is running at")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/auth/signin HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
        await writer.drain()
        await wait_until_live(port)
        process.send_signal(signal.SIGTERM)
        await wait_until_refused(port)
        writer.write(b"}")
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        writer.close()
        assert await process.wait() == 0
    assert find_server(data_dir) is None


async def wait_until_refused(port: int) -> None:
    async def is_refused() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    await wait_until(is_refused, "the product to stop listening", seconds=ENDS_WITHIN_SECONDS)
