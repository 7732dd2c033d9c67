"""The arguments of `basewarden rest`, apart from what it does: help must not need its packages."""

import argparse
from pathlib import Path


def add_rest_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="PostgREST's configuration file")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("-e", "--example", action="store_true", help="print an example of that file")
    what.add_argument("--dump-config", action="store_true", help="print the settings that hold, without secrets")
    what.add_argument("--dump-schema", action="store_true", help="print what is known of the database as JSON")
    what.add_argument("--ready", action="store_true", help="ask a running server's admin port whether it is ready")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port (default 1)")
