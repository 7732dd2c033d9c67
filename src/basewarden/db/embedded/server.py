"""Starting, adopting and stopping the embedded PostgreSQL.

The process that holds `data_dir/lock` owns the server and stops it; other processes only use it. The server survives a
killed owner, and the next process that takes the lock adopts it.
"""

import asyncio
import fcntl
import os
import random
import shlex
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from basewarden.db.embedded.cluster import (
    Cluster,
    find_cluster,
    find_postmaster,
    make_folder,
    open_cluster,
    remove_stale_pid_file,
)
from basewarden.db.embedded.errors import EmbeddedError

START_SECONDS = 120
STOP_SECONDS = 60
POLL_SECONDS = 0.1
CONNECT_SECONDS = 5
PORTS = range(15432, 32768)  # higher ports are used for outgoing connections
LOG_BYTES = 10_000_000
# Backends of a killed server still run, or another program has taken the port.
TRANSIENT_ERRORS = ("pre-existing shared memory block", "Address already in use")


class EmbeddedServer:
    """A running server. `owned`: whether `stop` stops it."""

    def __init__(self, cluster: Cluster, port: int, claim: int | None) -> None:
        self._cluster = cluster
        self._claim = claim
        self.port = port

    @property
    def owned(self) -> bool:
        return self._claim is not None

    def dsn(self, database: str = "basewarden") -> str:
        """Returns the superuser's address of a database, with the password."""
        return self._cluster.dsn(self.port, database)

    async def create_database(self, name: str, *, template: str = "template1") -> bool:
        """Creates a database; returns False if it exists already."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        try:
            await self._run_maintenance(statement)
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return False
        return True

    async def drop_database(self, name: str) -> None:
        """Drops a database and ends its connections."""
        await self._run_maintenance(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    async def stop(self) -> None:
        """Stops the server if this process owns it, and releases the folder; a second call does nothing."""
        if self._claim is None:
            return
        try:
            await _shut_down(self._cluster)
        finally:
            os.close(self._claim)
            self._claim = None

    async def _run_maintenance(self, statement: sql.Composed) -> None:
        async with await psycopg.AsyncConnection.connect(self.dsn("postgres"), autocommit=True) as connection:
            await connection.execute(statement)


async def start_embedded(
    data_dir: Path,
    *,
    progress: Callable[[str], None],
    port: int | None = None,
    options: Mapping[str, str] | None = None,
) -> EmbeddedServer:
    """Returns a running server on `data_dir`; `port` and `options` (settings) are used only if it must be started."""
    try:
        folder = make_folder(data_dir)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            claim = _take_claim(folder)
            if claim is not None:
                return await _start_as_owner(folder, claim, progress, port, options or {})
            server = await _join(folder)
            if server is not None:
                progress(f"Using the PostgreSQL that another process runs on port {server.port}")
                return server
            await asyncio.sleep(POLL_SECONDS)
    except OSError as error:
        raise EmbeddedError(f"The embedded PostgreSQL cannot use {data_dir}: {error}.") from error
    raise EmbeddedError(
        f"Another process holds {folder} but its PostgreSQL has not answered for {START_SECONDS} seconds."
    )


def _take_claim(folder: Path) -> int | None:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


async def _join(folder: Path) -> EmbeddedServer | None:
    cluster = find_cluster(folder)
    postmaster = find_postmaster(cluster.data) if cluster else None
    if cluster and postmaster and await _answers(cluster, postmaster.port):
        return EmbeddedServer(cluster, postmaster.port, claim=None)
    return None


async def _start_as_owner(
    folder: Path, claim: int, progress: Callable[[str], None], port: int | None, options: Mapping[str, str]
) -> EmbeddedServer:
    try:
        cluster = await open_cluster(folder, progress)
        return EmbeddedServer(cluster, await _bring_up(cluster, progress, port, options), claim)
    except BaseException:
        os.close(claim)
        raise


async def _bring_up(
    cluster: Cluster, progress: Callable[[str], None], port: int | None, options: Mapping[str, str]
) -> int:
    """Returns the port of the running server, and starts one if none runs."""
    started = False
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        postmaster = find_postmaster(cluster.data)
        if postmaster is None:
            started = await _launch(cluster, port or _choose_port(cluster), options, progress) or started
        elif await _is_ours(cluster, postmaster.port, stop_on_refusal=started):
            progress(f"PostgreSQL answers on port {postmaster.port}")
            return postmaster.port
        await asyncio.sleep(0 if started else POLL_SECONDS)
    raise EmbeddedError(f"The embedded PostgreSQL has not answered for {START_SECONDS} seconds; see {cluster.log}.")


async def _launch(cluster: Cluster, port: int, options: Mapping[str, str], progress: Callable[[str], None]) -> bool:
    """Returns True if the server runs, False if it should be tried again."""
    if not _is_free(port):
        raise EmbeddedError(f"Port {port} of this machine is taken; choose another for the embedded PostgreSQL.")
    progress(f"Starting PostgreSQL on port {port}")
    remove_stale_pid_file(cluster.data)
    log_start = _prepare_log(cluster.log)
    settings = {"listen_addresses": "127.0.0.1", "port": str(port), **options}
    result = await cluster.programs.run(
        "pg_ctl",
        "start",
        "--silent",
        f"--pgdata={cluster.data}",
        f"--log={cluster.log}",
        f"--timeout={START_SECONDS}",
        f"--options={' '.join(shlex.quote(f'--{name}={value}') for name, value in settings.items())}",
    )
    if result.returncode == 0:
        cluster.port_file.write_text(f"{port}\n")
        return True
    output = cluster.log.read_text(errors="replace")[log_start:] if cluster.log.exists() else result.stdout
    if any(text in output for text in TRANSIENT_ERRORS) or find_postmaster(cluster.data):
        return False
    fatal = [line.partition("FATAL:")[2].strip() for line in output.splitlines() if "FATAL:" in line]
    raise EmbeddedError(
        f"The embedded PostgreSQL did not start: {fatal[-1] if fatal else output.strip()} ({cluster.log})"
    )


async def _is_ours(cluster: Cluster, port: int, *, stop_on_refusal: bool) -> bool:
    try:
        return await _answers(cluster, port)
    except EmbeddedError:
        if stop_on_refusal:
            await _shut_down(cluster)
        raise


async def _answers(cluster: Cluster, port: int) -> bool:
    """Whether this cluster, and no other server, answers on that port to our password."""
    try:
        async with await psycopg.AsyncConnection.connect(
            cluster.dsn(port, "postgres"), connect_timeout=CONNECT_SECONDS
        ) as connection:
            row = await (await connection.execute("SHOW data_directory")).fetchone()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise EmbeddedError(
                f"The embedded PostgreSQL refuses the password in {cluster.folder / 'password'}; "
                "put back the one that it was made with."
            ) from None
        return False
    return row is not None and cluster.data.samefile(row[0])


async def _shut_down(cluster: Cluster) -> None:
    result = await cluster.programs.run(
        "pg_ctl", "stop", "--silent", "--mode=fast", f"--pgdata={cluster.data}", f"--timeout={STOP_SECONDS}"
    )
    if result.returncode != 0 and find_postmaster(cluster.data):
        raise EmbeddedError(f"The embedded PostgreSQL does not stop; see {cluster.log}.")


def _choose_port(cluster: Cluster) -> int:
    """Returns the last used port if it is free, else another one."""
    try:
        last = int(cluster.port_file.read_text())
    except (FileNotFoundError, ValueError):
        last = 0
    candidates = ([last] if last in PORTS else []) + random.sample(PORTS, 100)
    free = next(filter(_is_free, candidates), None)
    if free is None:
        raise EmbeddedError(f"No free port was found for the embedded PostgreSQL between {PORTS[0]} and {PORTS[-1]}.")
    return free


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _prepare_log(log: Path) -> int:
    """Renames a large log; returns the position where the lines of this start will begin."""
    size = log.stat().st_size if log.exists() else 0
    if size > LOG_BYTES:
        log.replace(log.with_suffix(".log.old"))
        return 0
    return size
