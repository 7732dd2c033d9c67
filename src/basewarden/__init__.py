"""Basewarden: a safe road between AI agents and a Postgres database."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("basewarden")
except PackageNotFoundError:  # a checkout on the path, not an installed package
    __version__ = "3.0.0"
