"""What the commands do, except `rest`. Each starts its database first."""

import argparse
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from basewarden.accounts import Purpose, make_operator_link
from basewarden.app import Addition, build_registry
from basewarden.audit import verify_chain
from basewarden.core.logs import configure_logs
from basewarden.core.stopping import Stopped, exit_by_signal, exit_on_terminate, make_runner, run_command, until_signal
from basewarden.db import Database
from basewarden.errors import StartError
from basewarden.mail import describe_emails
from basewarden.operations import Retention
from basewarden.operations.upkeep import examine, make_backup, report_start_error, restore_backup
from basewarden.serve import bind, make_server, serve_with_workers, serving, wait_for_end
from basewarden.settings import Settings
from basewarden.start import Started, find_data_dir, start, start_migrated
from basewarden.vault import Vault, make_keyring, rotate_keys
from basewarden.web import ensure_assets

Progress = Callable[[str], None]


def _print_status(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _replace_status(message: str) -> None:
    """Shows the last message only, on a terminal; an empty one clears the line."""
    shown = f"{message.rstrip('.')[:70]}…" if message else ""
    print(f"\r\033[K{shown}", end="", file=sys.stderr, flush=True)


def _ignore_status(_: str) -> None:
    """For a console that stays quiet."""


def _serve(options: argparse.Namespace) -> None:
    if options.workers < 1:
        raise StartError("--workers must be 1 or more.")
    if options.workers == 1:
        run_command(_serve_in_process(options.host, options.port), on_terminate=0)
    else:
        _serve_with_workers(options.host, options.port, options.workers)


def _serve_with_workers(host: str, port: int, workers: int) -> None:
    listener = bind(host, port)
    with make_runner() as runner:
        try:
            started: Started = runner.run(until_signal(_prepare(host, port)))
        except Stopped as stopped:
            exit_by_signal(stopped, 0)
        try:
            exit_on_terminate()
            serve_with_workers(started.settings, listener, workers)
        finally:
            runner.run(started.stop())


async def _serve_in_process(host: str, port: int) -> None:
    with bind(host, port) as listener:
        started = await _prepare(host, port)
        try:
            async with serving(make_server(started.settings), listener) as task:
                _print_status(f"Basewarden is running at {started.settings.origin}")
                await wait_for_end(task)
        finally:
            await started.stop()


async def _prepare(host: str, port: int) -> Started:
    await ensure_assets(_print_status)
    return await start_migrated(
        _print_status, origin=make_origin(host, port), allow_private=is_private_deployment(host, os.environ)
    )


def is_private_deployment(host: str, environment: Mapping[str, str]) -> bool:
    """Whether only this machine reaches the server, which has no public address: it may use databases here."""
    own = {"DATABASE_URL", "BASEWARDEN_ORIGIN", "BASEWARDEN_ALLOW_PRIVATE_ADDRESSES", "BASEWARDEN_TRUSTED_PROXIES"}
    return host in _LOOPBACK and not any(environment.get(name) for name in own)


_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_THIS_MACHINE = frozenset({"0.0.0.0", "::", "127.0.0.1", "::1"})  # noqa: S104 - nothing is bound here


def make_origin(host: str, port: int) -> str:
    """Names this machine localhost, because browsers make no passkey for an IP address."""
    shown = "localhost" if host in _THIS_MACHINE else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def _demo(options: argparse.Namespace) -> None:
    if not options.verbose:
        os.environ.setdefault("BASEWARDEN_LOG_LEVEL", "error")
    os.environ.setdefault("BASEWARDEN_DATA_DIR", str(find_data_dir() / "demo"))
    progress = _print_status if options.verbose else _replace_status if sys.stderr.isatty() else _ignore_status
    try:
        run_command(_run_demo(options.host, options.port, progress, script=options.script), on_terminate=0)
    except StartError:
        progress("")
        raise


async def _run_demo(host: str, port: int, progress: Progress, *, script: bool) -> None:
    from basewarden.demo import (  # noqa: PLC0415 - needs clients that only the demo's packages have
        DEMO_ROUTERS,
        AgentRuns,
        ScriptError,
        SigninLink,
        prepare_demo_data,
        run_script,
        wire_demo,
    )

    link, runs = SigninLink(), AgentRuns()
    with bind(host, 0 if script else port) as listener:
        origin = make_origin(host, listener.getsockname()[1])
        _print_status("Preparing the demo. The first start takes about a minute.")
        await ensure_assets(progress)
        started = await start_migrated(progress, origin=origin, allow_private=True)
        if started.embedded is None or started.settings.data_dir is None:
            raise StartError("The demo uses its own database. Run it without DATABASE_URL.")
        addition = Addition(partial(wire_demo, link=link, runs=runs), DEMO_ROUTERS)
        try:
            async with serving(make_server(started.settings, addition), listener) as task:
                data = await prepare_demo_data(
                    started.settings.origin, started.embedded.dsn("postgres"), started.settings.data_dir, progress
                )
                if script:
                    progress("")
                    await run_script(data, print)
                else:
                    runs.use(data)
                    if data.is_new:
                        progress("Letting the agent work")
                        await runs.seed()
                    progress("")
                    _welcome(data, link.path)
                    await wait_for_end(task)
        except ScriptError as error:
            raise StartError(str(error)) from error
        finally:
            await runs.stop()
            await started.stop()


def _welcome(data: Any, signin_path: str) -> None:
    print(
        f"""
Open this link to sign in. It works once, on this machine only.

    {data.origin}{signin_path}

Account         {data.email}   password  {data.password.reveal()}
Agent API URL   {data.api}
Agent token     {data.agent_token.reveal()}

Press Ctrl-C to stop; the data is kept. --verbose prints logs; --script runs the whole story in the terminal.""",
        flush=True,
    )


async def _migrate() -> None:
    started = await start_migrated(_print_status)
    await started.stop()


async def _rotate_key() -> None:
    async with _with_database() as (settings, database):
        for count in await rotate_keys(database, Vault(make_keyring(settings))):
            _print_status(
                f"{count.column}: {count.resealed} encrypted again, {count.unreadable} that no key can decrypt"
            )


async def _print_link(email: str, purpose: Purpose) -> None:
    async with _with_database() as (settings, database):
        print(await make_operator_link(database, settings, email, purpose))


async def _print_emails() -> None:
    async with _with_database() as (_, database):
        for line in await describe_emails(database):
            print(line)


async def _prune() -> None:
    async with _with_database() as (settings, _):
        registry = build_registry(settings)
        try:
            pruned = await registry.get(Retention).run()
        finally:
            await registry.get(Database).close()
    for table, rows in pruned.items():
        print(f"{table}: {rows:,} rows")


async def _examine(*, as_json: bool) -> None:
    try:
        async with _with_database() as (settings, database):
            report = await examine(settings, database)
    except StartError as error:
        report = report_start_error(error)
    for line in [json.dumps(report.body())] if as_json else report.list_lines():
        print(line)
    if not report.is_good:
        sys.exit(1)


async def _back_up(target: Path, *, with_key: bool) -> None:
    async with _with_database() as (settings, _):
        backup = await make_backup(settings, target, _print_status, with_key=with_key)
        for sentence in backup.list_sentences(settings):
            _print_status(sentence)


async def _restore(source: Path, *, without_key: bool) -> None:
    async with _with_database() as (settings, _):
        restored = await restore_backup(settings, source, _print_status, without_key=without_key)
        for sentence in restored.list_sentences():
            _print_status(sentence)


async def _verify_audit(noted_head: str | None) -> None:
    async with _with_database() as (_, database):
        verdict = await verify_chain(database, lambda count: _print_status(f"{count:,} …"), noted_head=noted_head)
        for sentence in verdict.list_sentences():
            print(sentence)
        if not verdict.is_good:
            raise StartError("The audit log is not intact.")


@asynccontextmanager
async def _with_database() -> AsyncIterator[tuple[Settings, Database]]:
    """Opens our database for a command."""
    started = await start(_print_status)
    database = Database(started.settings.database_url)
    try:
        configure_logs(started.settings.log_level)
        yield started.settings, database
    finally:
        await database.close()
        await started.stop()


COMMANDS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "serve": _serve,
    "demo": _demo,
    "migrate": lambda _: run_command(_migrate()),
    "rotate-key": lambda _: run_command(_rotate_key()),
    "link": lambda options: run_command(_print_link(options.email, Purpose(options.purpose))),
    "emails": lambda _: run_command(_print_emails()),
    "doctor": lambda options: run_command(_examine(as_json=options.json)),
    "backup": lambda options: run_command(_back_up(options.file, with_key=options.with_key)),
    "restore": lambda options: run_command(_restore(options.file, without_key=options.without_key)),
    "retention": lambda _: run_command(_prune()),
    "audit": lambda options: run_command(_verify_audit(options.head)),
}
