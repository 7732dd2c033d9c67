"""A signal ends the real command and all that it has started, the embedded PostgreSQL first of all."""

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from basewarden.db.embedded.cluster import find_cluster, find_postmaster
from tests.fixtures.command import ENDS_WITHIN_SECONDS, STARTS_WITHIN_SECONDS, read_until, running_command
from tests.fixtures.waiting import wait_until


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One embedded database for all of these: making it takes the longest."""
    return tmp_path_factory.mktemp("data")


def find_server(data_dir: Path) -> int | None:
    cluster = find_cluster(data_dir)
    postmaster = find_postmaster(cluster.data) if cluster else None
    return postmaster.pid if postmaster else None


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
    async with running_command(data_dir, "serve") as (process, port):
        await read_until(process, "Basewarden is running at")
        await wait_until_live(port)
        assert find_server(data_dir) is not None
        assert await end(process, number) == code
    assert find_server(data_dir) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_several_workers_end_with_their_database(data_dir: Path, number: signal.Signals) -> None:
    async with running_command(data_dir, "serve", "--workers", "2") as (process, port):
        await wait_until_live(port)
        assert find_server(data_dir) is not None
        assert await end(process, number) == 0
    assert find_server(data_dir) is None


@pytest.mark.parametrize("words", ["PostgreSQL answers on port", "Applying database migrations"])
async def test_a_signal_during_the_start_leaves_nothing_behind(data_dir: Path, words: str) -> None:
    async with running_command(data_dir, "serve") as (process, _):
        await read_until(process, words)
        assert await end(process, signal.SIGTERM) == 0
    assert find_server(data_dir) is None


async def test_the_demo_ends_with_its_database(data_dir: Path) -> None:
    async with running_command(data_dir, "demo", "--verbose") as (process, _):
        await read_until(process, "Setting up the demo shop")
        assert find_server(data_dir) is not None
        assert await end(process, signal.SIGTERM) == 0
    assert find_server(data_dir) is None


async def test_a_request_under_way_is_answered_before_the_end(data_dir: Path) -> None:
    async with running_command(data_dir, "serve") as (process, port):
        await read_until(process, "Basewarden is running at")
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
