"""The versions of a connection's schema: what changed, when, and who did it."""

from typing import Final

HISTORY_JOB: Final = "schema_version"
"""Reads a connection's schema, and stores a version where it changed."""

__all__ = ["HISTORY_JOB"]
