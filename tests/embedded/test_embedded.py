"""The embedded server through its life: made, restarted, orphaned, killed, shared, locked out."""

import asyncio
import os
import shutil
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from basewarden.db.embedded import EmbeddedError, EmbeddedServer, start_embedded
from basewarden.db.embedded.cluster import find_cluster, find_postmaster
from tests.fixtures.sql import run_sql

HOLDER = """
import asyncio, sys
from pathlib import Path
from basewarden.db.embedded import start_embedded

async def hold():
    server = await start_embedded(Path(sys.argv[1]), progress=lambda _: None)
    print(server.dsn("postgres"), server.owned, flush=True)
    await asyncio.Event().wait()

asyncio.run(hold())
"""


async def start(data_dir: Path, **options: str) -> EmbeddedServer:
    return await start_embedded(data_dir, progress=lambda _: None, options=options)


@asynccontextmanager
async def started(data_dir: Path) -> AsyncIterator[EmbeddedServer]:
    server = await start(data_dir)
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def holding_process(data_dir: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, bool]]:
    """Another process with the server, its address of it, and whether it owns it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOLDER,
        str(data_dir),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout
    try:
        dsn, owned = (await process.stdout.readline()).decode().split()
        yield process, dsn, owned == "True"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def postmaster_pid(data_dir: Path) -> int:
    cluster = find_cluster(data_dir)
    assert cluster
    postmaster = find_postmaster(cluster.data)
    assert postmaster
    return postmaster.pid


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def answers(dsn: str) -> bool:
    try:
        await run_sql(dsn, "SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


async def test_first_start_makes_a_closed_cluster(data_dir: Path) -> None:
    async with started(data_dir) as server:
        assert server.owned
        assert server.port < 32768
        [row] = await run_sql(
            server.dsn("postgres"),
            "SELECT current_setting('data_checksums'), current_setting('listen_addresses'),"
            " current_setting('fsync'), pg_encoding_to_char(encoding), datlocale"
            " FROM pg_database WHERE datname = 'postgres'",
        )
        assert row == ("on", "127.0.0.1", "on", "UTF8", "C.UTF-8")
        assert mode_of(data_dir / "password") == 0o600
        assert mode_of(data_dir / "postgres" / "data") == 0o700


async def test_a_wrong_password_is_refused_on_every_line_of_hba(data_dir: Path) -> None:
    async with started(data_dir) as server:
        methods = await run_sql(server.dsn("postgres"), "SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert methods == [("scram-sha-256",)]
        stored = (data_dir / "password").read_text()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            await run_sql(server.dsn("postgres").replace(stored, "wrong"), "SELECT 1")


async def test_restart_keeps_data_and_address(data_dir: Path) -> None:
    async with started(data_dir) as server:
        assert await server.create_database("basewarden")
        assert not await server.create_database("basewarden")
        await run_sql(server.dsn(), "CREATE TABLE kept AS SELECT 42 AS answer")
        first = server.dsn()
    assert not await answers(first)
    async with started(data_dir) as server:
        assert server.dsn() == first
        assert await run_sql(server.dsn(), "SELECT answer FROM kept") == [(42,)]


async def test_a_server_is_adopted_when_its_owner_was_killed(data_dir: Path) -> None:
    async with holding_process(data_dir) as (owner, dsn, owned):
        assert owned
        owner.kill()
        await owner.wait()
        orphan = postmaster_pid(data_dir)
        assert await answers(dsn)
        async with started(data_dir) as server:
            assert server.owned
            assert server.dsn("postgres") == dsn
            assert postmaster_pid(data_dir) == orphan
        assert not await answers(dsn)


async def test_a_killed_server_recovers_what_was_committed(data_dir: Path) -> None:
    async with started(data_dir) as server:
        await run_sql(server.dsn("postgres"), "CREATE TABLE committed AS SELECT generate_series(1, 1000) AS n")
        os.kill(postmaster_pid(data_dir), signal.SIGKILL)
        await server.stop()
    async with started(data_dir) as server:
        assert await run_sql(server.dsn("postgres"), "SELECT count(*) FROM committed") == [(1000,)]


async def test_a_pid_file_that_names_a_stranger_is_no_obstacle(data_dir: Path) -> None:
    async with started(data_dir):
        pid_file = data_dir / "postgres" / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
    cluster = find_cluster(data_dir)
    assert cluster
    command = "sleep 30 >/dev/null 2>&1 & echo $!"
    stranger = await asyncio.to_thread(cluster.programs.user.run, "sh", "-c", command)
    pid_file.write_text("\n".join([stranger.stdout.strip(), *lines[1:]]))
    cluster.programs.user.own(pid_file)
    try:
        async with started(data_dir) as server:
            assert await answers(server.dsn("postgres"))
    finally:
        os.kill(int(stranger.stdout), signal.SIGKILL)


async def test_a_second_process_uses_the_server_and_leaves_it_running(data_dir: Path) -> None:
    async with started(data_dir) as server, holding_process(data_dir) as (_, dsn, owned):
        assert not owned
        assert dsn == server.dsn("postgres")
        other = await start(data_dir)
        assert not other.owned
        await other.stop()
        assert await answers(dsn)


async def test_two_first_starts_at_once_make_one_cluster(data_dir: Path) -> None:
    servers = await asyncio.gather(start(data_dir), start(data_dir))
    try:
        assert sorted(server.owned for server in servers) == [False, True]
        assert servers[0].dsn() == servers[1].dsn()
    finally:
        for server in servers:
            await server.stop()


async def test_a_changed_password_file_is_named_and_nothing_stays_running(data_dir: Path) -> None:
    async with started(data_dir):
        pass
    (data_dir / "password").write_text("another")
    with pytest.raises(EmbeddedError, match=r"refuses the password in .*/password; put back"):
        await start(data_dir)
    cluster = find_cluster(data_dir)
    assert cluster
    assert find_postmaster(cluster.data) is None
    (data_dir / "password").unlink()
    with pytest.raises(EmbeddedError, match=r"password is missing from .*/password"):
        await start(data_dir)


async def test_a_bad_setting_is_one_sentence(data_dir: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"did not start: .*max_connections") as refusal:
        await start(data_dir, max_connections="many")
    assert "\n" not in str(refusal.value)
    async with started(data_dir) as server:  # the refusal gave the folder free
        assert server.owned


async def test_a_taken_port_is_refused_when_asked_for_and_avoided_when_remembered(data_dir: Path) -> None:
    async with started(data_dir) as server:
        remembered = server.port
    listener = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", remembered)
    async with listener:
        with pytest.raises(EmbeddedError, match=f"Port {remembered} of this machine is taken"):
            await start_embedded(data_dir, progress=lambda _: None, port=remembered)
        async with started(data_dir) as server:
            assert server.port != remembered


async def test_a_cluster_made_by_another_version_is_not_touched(data_dir: Path) -> None:
    async with started(data_dir):
        pass
    version_file = data_dir / "postgres" / "data" / "PG_VERSION"
    version_file.write_text("15\n")
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 15"):
        await start(data_dir)


async def test_an_interrupted_first_start_is_done_again(data_dir: Path) -> None:
    async with started(data_dir):
        pass
    (data_dir / "postgres" / "data").rename(data_dir / "postgres" / "data.new")
    (data_dir / "postgres" / "data.new" / "PG_VERSION").unlink()
    async with started(data_dir) as server:
        assert await answers(server.dsn("postgres"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another user")
async def test_roots_server_lies_elsewhere_when_its_user_cannot_come_in(tmp_path: Path) -> None:
    assert mode_of(tmp_path) == 0o700
    data_dir = tmp_path / "data"
    try:
        async with started(data_dir) as server:
            assert (data_dir / "postgres").resolve().is_relative_to("/var/lib/basewarden")
            assert mode_of(tmp_path) == 0o700
            await run_sql(server.dsn("postgres"), "CREATE TABLE kept ()")
        async with started(data_dir) as server:
            assert await run_sql(server.dsn("postgres"), "TABLE kept") == []
    finally:
        shutil.rmtree((data_dir / "postgres").resolve())
