"""The commands. Each first brings its database up; a reason not to start is one clear sentence."""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop

from basewarden import __version__
from basewarden.accounts import Purpose, make_operator_link
from basewarden.app import build_registry
from basewarden.audit import verify_chain
from basewarden.core.logs import configure_logs
from basewarden.db import Database
from basewarden.errors import StartError
from basewarden.mail import describe_letters
from basewarden.operations.backup import make_backup
from basewarden.operations.doctor import examine, report_start_error
from basewarden.operations.restore import restore_backup
from basewarden.operations.retention import Retention
from basewarden.serve import bind, make_server, serve_with_workers, serving
from basewarden.settings import Settings
from basewarden.start import Started, start, start_migrated
from basewarden.vault import Vault, make_keyring, rotate_keys
from basewarden.web.assets import ensure_assets

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000


def main(arguments: list[str] | None = None) -> None:
    options = _make_parser().parse_args(arguments)
    try:
        options.run(options)
    except StartError as error:
        print(f"basewarden: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("basewarden", description=__doc__)
    parser.add_argument("--version", action="version", version=f"basewarden {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    serve = commands.add_parser("serve", help="serve the product")
    _add_address(serve)
    serve.add_argument("--workers", type=int, default=1, help="processes that share the port (default 1)")
    serve.set_defaults(run=_serve)

    demo = commands.add_parser("demo", help="serve it with a shop to play with")
    _add_address(demo)
    demo.add_argument("--script", action="store_true", help="tell the story without a person, prove it, and exit")
    demo.set_defaults(run=_demo)

    migrate = commands.add_parser("migrate", help="bring the database up to date")
    migrate.set_defaults(run=lambda _: _run(_migrate()))

    rotate = commands.add_parser("rotate-key", help="seal every stored secret anew, under a new key")
    rotate.set_defaults(run=lambda _: _run(_rotate_key()))

    link = commands.add_parser("link", help="print a link to set a password or confirm an address, without mail")
    link.add_argument("email", help="the account's address")
    link.add_argument("purpose", choices=(Purpose.RESET, Purpose.VERIFY), help="what the link is for")
    link.set_defaults(run=lambda options: _run(_print_link(options.email, Purpose(options.purpose))))

    letters = commands.add_parser("letters", help="list the letters that wait or have failed")
    letters.set_defaults(run=lambda _: _run(_print_letters()))

    doctor = commands.add_parser("doctor", help="look at everything that could be wrong, and say what to do")
    doctor.add_argument("--json", action="store_true", help="for a machine")
    doctor.set_defaults(run=lambda options: _run(_examine(as_json=options.json)))

    backup = commands.add_parser("backup", help="write all that the database holds to one file; the key is not in it")
    backup.add_argument("file", type=Path, help="a new file")
    backup.add_argument("--with-key", action="store_true", help="put the encryption key beside it, in <file>.keys")
    backup.set_defaults(run=lambda options: _run(_back_up(options.file, with_key=options.with_key)))

    restore = commands.add_parser("restore", help="bring a backup back, into an empty database")
    restore.add_argument("file", type=Path, help="what `backup` wrote")
    restore.add_argument("--without-key", action="store_true", help="even where the key that sealed it is lost")
    restore.set_defaults(run=lambda options: _run(_restore(options.file, without_key=options.without_key)))

    retention = commands.add_parser("retention", help="take away what was kept for long enough")
    retention.set_defaults(run=lambda _: _run(_prune()))

    audit = commands.add_parser("audit", help="check the chain of account events")
    verify = audit.add_subparsers(required=True, metavar="command").add_parser(
        "verify", help="compute every hash of the chain anew"
    )
    verify.add_argument("--head", help="a head noted earlier, which must still be in the chain")
    verify.set_defaults(run=lambda options: _run(_verify_audit(options.head)))
    return parser


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default=DEFAULT_HOST, help=f"address to listen on (default {DEFAULT_HOST})")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port to listen on (default {DEFAULT_PORT})")


def _run(command: Coroutine[Any, Any, None]) -> None:
    uvloop.run(command)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _serve(options: argparse.Namespace) -> None:
    if options.workers < 1:
        raise StartError("--workers takes a number from 1 on.")
    if options.workers == 1:
        _run(_serve_alone(options.host, options.port))
        return
    listener = bind(options.host, options.port)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        started = runner.run(_prepare(options.host, options.port))
        try:
            serve_with_workers(started.settings, listener, options.workers)
        finally:
            runner.run(started.stop())


async def _serve_alone(host: str, port: int) -> None:
    with bind(host, port) as listener:
        started = await _prepare(host, port)
        try:
            async with serving(make_server(started.settings), listener) as task:
                _say(f"Basewarden answers at {started.settings.origin}")
                await task
        finally:
            await started.stop()


async def _prepare(host: str, port: int) -> Started:
    await ensure_assets(_say)
    return await start_migrated(_say, origin=_make_origin(host, port))


def _make_origin(host: str, port: int) -> str:
    shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - nothing is bound here
    return f"http://{shown}:{port}"


def _demo(options: argparse.Namespace) -> None:
    _run(_demo_alone(options.host, options.port, script=options.script))


async def _demo_alone(host: str, port: int, *, script: bool) -> None:
    from basewarden.demo import StoryError, set_stage, tell_story  # noqa: PLC0415 - needs clients only the demo has

    with bind(host, 0 if script else port) as listener:
        origin = _make_origin(host, listener.getsockname()[1])
        await ensure_assets(_say)
        started = await start_migrated(_say, origin=origin, allow_private=True)
        if started.embedded is None or started.settings.data_dir is None:
            raise StartError("The demo brings its own database: run it without DATABASE_URL.")
        try:
            async with serving(make_server(started.settings), listener) as task:
                stage = await set_stage(
                    started.settings.origin, started.embedded.dsn("postgres"), started.settings.data_dir, _say
                )
                if script:
                    await tell_story(stage, print)
                else:
                    _welcome(stage)
                    await task
        except StoryError as error:
            raise StartError(str(error)) from error
        finally:
            await started.stop()


def _welcome(stage: Any) -> None:
    print(
        f"""
Basewarden answers at   {stage.origin}
Sign in as              {stage.email}   password  {stage.password.reveal()}
The shop                {stage.origin}/c/{stage.connection_id}
An agent's address      {stage.api}
An agent's token        {stage.agent_token.reveal()}

Ctrl-C stops it; what you do here stays. `./basewarden demo --script` tells the story by itself.""",
        flush=True,
    )


async def _migrate() -> None:
    started = await start_migrated(_say)
    await started.stop()


async def _rotate_key() -> None:
    async with _with_database() as (settings, database):
        for count in await rotate_keys(database, Vault(make_keyring(settings))):
            _say(f"{count.column}: {count.resealed} sealed anew, {count.unreadable} that no key opens")


async def _print_link(email: str, purpose: Purpose) -> None:
    async with _with_database() as (settings, database):
        print(await make_operator_link(database, settings, email, purpose))


async def _print_letters() -> None:
    async with _with_database() as (_, database):
        for line in await describe_letters(database):
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
        backup = await make_backup(settings, target, _say, with_key=with_key)
        for sentence in backup.list_sentences(settings):
            _say(sentence)


async def _restore(source: Path, *, without_key: bool) -> None:
    async with _with_database() as (settings, _):
        restored = await restore_backup(settings, source, _say, without_key=without_key)
        for sentence in restored.list_sentences():
            _say(sentence)


async def _verify_audit(noted_head: str | None) -> None:
    async with _with_database() as (_, database):
        verdict = await verify_chain(database, lambda count: _say(f"{count:,} …"), noted_head=noted_head)
        for sentence in verdict.list_sentences():
            print(sentence)
        if not verdict.is_good:
            raise StartError("The audit is not whole.")


@asynccontextmanager
async def _with_database() -> AsyncIterator[tuple[Settings, Database]]:
    """For a command that works on our database and ends."""
    started = await start(_say)
    database = Database(started.settings.database_url)
    try:
        configure_logs(started.settings.log_level)
        yield started.settings, database
    finally:
        await database.close()
        await started.stop()
