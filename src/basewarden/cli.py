"""Parses the command line. The commands are in `commands.py`, and `rest` is in `pgrest/server/`.

This module imports only the standard library, so that `--help` works before any package is installed. A reason not to
start is printed as one sentence.
"""

import argparse
import sys
from pathlib import Path

from basewarden import __version__
from basewarden.errors import StartError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000


def main(arguments: list[str] | None = None) -> None:
    options = _make_parser().parse_args(arguments)
    try:
        sys.exit(_run(options))
    except StartError as error:
        print(f"basewarden: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(options: argparse.Namespace) -> int:
    if options.command == "rest":
        from pgrest.server import command as rest  # noqa: PLC0415 - needs installed packages

        return rest.run(options, f"basewarden/{__version__}")
    from basewarden.commands import COMMANDS  # noqa: PLC0415 - imports the whole product, which `rest` does not need

    COMMANDS[options.command](options)
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("basewarden", description="Safe database access for AI agents.")
    parser.add_argument("--version", action="version", version=f"basewarden {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")

    serve = commands.add_parser("serve", help="serve the product")
    _add_address(serve)
    serve.add_argument("--workers", type=int, default=1, help="processes that share the port (default 1)")

    demo = commands.add_parser("demo", help="serve the product with a demo shop")
    _add_address(demo)
    demo.add_argument("--script", action="store_true", help="run the demo script, verify its result, and exit")
    demo.add_argument("--verbose", action="store_true", help="print progress and logs")

    _add_rest_arguments(commands.add_parser("rest", help="serve one Postgres as PostgREST would"))

    commands.add_parser("migrate", help="apply the database migrations")

    commands.add_parser("rotate-key", help="encrypt every stored secret again, with a new key")

    link = commands.add_parser(
        "link", help="print a link to reset a password or confirm an address, without sending email"
    )
    link.add_argument("email", help="the account's address")
    link.add_argument("purpose", choices=("reset", "verify"), help="what the link is for")

    commands.add_parser("emails", help="list queued and failed emails")

    doctor = commands.add_parser("doctor", help="check the deployment, and say what to fix")
    doctor.add_argument("--json", action="store_true", help="print JSON")

    backup = commands.add_parser("backup", help="write the whole database to one file, without the encryption key")
    backup.add_argument("file", type=Path, help="a new file")
    backup.add_argument("--with-key", action="store_true", help="also write the encryption key, to <file>.keys")

    restore = commands.add_parser("restore", help="restore a backup into an empty database")
    restore.add_argument("file", type=Path, help="what `backup` wrote")
    restore.add_argument("--without-key", action="store_true", help="restore even if its encryption key is lost")

    commands.add_parser("retention", help="delete data that is past its retention time")

    audit = commands.add_parser("audit", help="verify the chain of account events")
    verify = audit.add_subparsers(required=True, metavar="command", dest="check").add_parser(
        "verify", help="recompute every hash of the chain"
    )
    verify.add_argument("--head", help="a head noted earlier, which must still be in the chain")
    return parser


def _add_rest_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds PostgREST's arguments, and `--workers`."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="PostgREST's configuration file")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("-e", "--example", action="store_true", help="print an example of that file")
    what.add_argument("--dump-config", action="store_true", help="print the effective settings, without secrets")
    what.add_argument("--dump-schema", action="store_true", help="print the schema snapshot as JSON")
    what.add_argument("--ready", action="store_true", help="ask a running server's admin port whether it is ready")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port (default 1)")


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default=DEFAULT_HOST, help=f"address to listen on (default {DEFAULT_HOST})")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port to listen on (default {DEFAULT_PORT})")
