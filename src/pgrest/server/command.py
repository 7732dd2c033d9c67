"""`basewarden rest`: what PostgREST's command line asks for, and `--workers`."""

import argparse
import asyncio
import http.client
import os
import signal
import sys
from dataclasses import replace

from pgrest.errors import DatabaseError, PgrestError
from pgrest.schema.introspection import load_schema
from pgrest.server.errors import GivingUpError
from pgrest.server.log import Log
from pgrest.server.process import GAVE_UP, ProcessContext, serve
from pgrest.server.shared_metrics import SharedMetrics
from pgrest.server.snapshot import write_snapshot
from pgrest.server.sockets import bind, describe_address, is_special_host
from pgrest.server.workers import Supervisor
from pgrest.settings import (
    BadSettings,
    ServerSettings,
    Source,
    dump_settings,
    write_example,
)
from pgrest.settings.database import read_database_settings
from pgrest.wire.pool import Pool

_READY_SECONDS = 10


def run(options: argparse.Namespace, software: str) -> int:
    """The exit code. What goes wrong is said in one sentence on standard error; `software` is the server's name."""
    if options.example:
        print(write_example(), end="")
        return 0
    source = Source(options.file, dict(os.environ))
    try:
        return _run(options, source, source.read(), software)
    except (BadSettings, GivingUpError, PgrestError, DatabaseError) as error:
        print(f"basewarden: {_explain(error)}", file=sys.stderr)
        return GAVE_UP


def _run(options: argparse.Namespace, source: Source, settings: ServerSettings, software: str) -> int:
    if options.ready:
        return _ask_whether_ready(settings)
    if options.dump_config:
        print(dump_settings(asyncio.run(_read_all(source, settings))), end="")
        return 0
    if options.dump_schema:
        print(asyncio.run(_read_schema(source, settings)).decode())
        return 0
    if options.workers < 1:
        raise GivingUpError("--workers must be 1 or more.")
    return _serve(settings, source, options.workers, software)


# Serving ------------------------------------------------------------------------------------------------


def _serve(settings: ServerSettings, source: Source, workers: int, software: str) -> int:
    log = Log(settings.log_level)
    log.write("Starting Basewarden in PostgREST's place...")
    for name in source.list_unknown():
        log.write(f"{name} is no setting of PostgREST 14 and means nothing here")
    listener, admin = bind(settings.binding)
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # a reload that is asked for too early is not our death
        signal.signal(number, signal.SIG_IGN)
    log.write(f"API server listening on {describe_address(listener)}")
    if admin is not None:
        log.write(f"Admin server listening on {describe_address(admin)}")
    board = SharedMetrics(workers)
    shared = replace(settings, pool=replace(settings.pool, size=max(1, settings.pool.size // workers)))

    def serve_one(worker: int, lifeline: int | None = None) -> int:
        return serve(
            ProcessContext(
                settings=shared,
                source=source,
                log=log,
                board=board,
                worker=worker,
                listener=listener,
                admin=admin if worker == 0 else None,
                lifeline=lifeline,
                software=software,
            )
        )

    return serve_one(0) if workers == 1 else Supervisor(workers, serve_one).run()


# Without serving ----------------------------------------------------------------------------------------


async def _read_all(source: Source, settings: ServerSettings) -> ServerSettings:
    """Includes the settings in the database, if it can be reached."""
    if not settings.reads_database:
        return settings
    pool = Pool(settings.dsn, max_size=1)
    try:
        async with pool.acquire() as conn:
            stored = await read_database_settings(conn, settings.pre_config)
    except (PgrestError, DatabaseError) as error:
        print(f"basewarden: the settings in the database could not be read: {_explain(error)}", file=sys.stderr)
        return settings
    finally:
        await pool.close()
    return replace(source.read(stored), dsn=settings.dsn)


async def _read_schema(source: Source, settings: ServerSettings) -> bytes:
    rest = (await _read_all(source, settings)).rest
    pool = Pool(settings.dsn, max_size=1)
    try:
        async with pool.acquire() as conn:
            return write_snapshot(await load_schema(conn, rest.schemas, rest.extra_search_path))
    finally:
        await pool.close()


def _explain(error: Exception) -> str:
    details = error.details if isinstance(error, PgrestError) else None
    return " ".join(f"{error} {details or ''}".split())


def _ask_whether_ready(settings: ServerSettings) -> int:
    host, port = settings.binding.admin_host, settings.binding.admin_port
    if port is None:
        raise GivingUpError("There is no admin server to ask: admin-server-port is not set.")
    if is_special_host(host):
        raise GivingUpError(f"--ready needs one address to ask, and admin-server-host is {host}: make it localhost.")
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/ready"
    connection = http.client.HTTPConnection(host, port, timeout=_READY_SECONDS)
    try:
        connection.request("GET", "/ready")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        print(f"ERROR: connection refused to {address}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    if status == http.client.OK:
        print(f"OK: {address}")
        return 0
    print(f"ERROR: {address}", file=sys.stderr)
    return 1
