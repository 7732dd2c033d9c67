"""Reads schema versions, and what differs between two of them."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from basewarden.db import Database
from basewarden.errors import NotFound
from basewarden.sentry.history import queries
from basewarden.sentry.history.comparing import ChangeAction, StructureChange, compare_structures
from basewarden.sentry.history.naming import name_object
from basewarden.sentry.history.statements import write_change
from basewarden.sentry.history.structure import decode_structure
from basewarden.sentry.history.wording import describe_change
from basewarden.sentry.models import SchemaHead, SchemaVersion

MOST_SQL: Final = 20_000
"""Characters of one change: a view may have megabytes."""
MOST_ON_A_PAGE: Final = 50_000
"""Characters of SQL: a thousand take some ten milliseconds to colour."""
_LEAST_SQL: Final = 500
_MOST_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class DescribedChange:
    """`object` is a table, a function or the like, `part` what of it changed."""

    action: ChangeAction
    kind: str
    object: str
    part: str
    sentence: str
    sql: str


@dataclass(frozen=True, slots=True)
class SchemaDiff:
    """`since` None: it is compared with nothing, since no version before it is kept. `total` counts all changes."""

    version: SchemaVersion
    since: SchemaVersion | None
    changes: Sequence[DescribedChange]
    total: int


class SchemaVersions:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_page(
        self, connection_id: UUID, limit: int, before: int | None
    ) -> tuple[SchemaHead | None, Sequence[SchemaVersion]]:
        async with self._database.read_only() as session:
            head = await queries.find_head(session, connection_id)
            return head, await queries.list_versions(session, connection_id, limit, before)

    async def read_diff(
        self, connection_id: UUID, number: str, since: int | None, offset: int, limit: int, most: int | None = None
    ) -> SchemaDiff:
        """From the version before, or `since`, with at most some `most` characters of SQL. Raises NotFound."""
        known = int(number) if number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS else 0
        async with self._database.read_only() as session:
            version = await queries.find_version(session, connection_id, known)
            if version is None:
                raise NotFound("There is no such version.")
            if since is None:
                older = await queries.find_version_before(session, connection_id, known)
            else:
                older = await queries.find_version(session, connection_id, since)
                if older is None:
                    raise NotFound("There is no such version to compare with.")
        if older is None:
            return SchemaDiff(version, None, (), 0)
        changes, total = await asyncio.to_thread(_describe, older.body, version.body, offset, limit)
        return SchemaDiff(version, older, changes if most is None else list(_shorten(changes, most)), total)


def _describe(old: bytes, new: bytes, offset: int, limit: int) -> tuple[list[DescribedChange], int]:
    changes = compare_structures(decode_structure(old), decode_structure(new))
    return [_describe_one(one) for one in changes[offset : offset + limit]], len(changes)


def _shorten(changes: Iterable[DescribedChange], most: int) -> Iterator[DescribedChange]:
    """The first ones whole, and something of each."""
    for change in changes:
        sql = _cut(change.sql, max(_LEAST_SQL, most))
        most -= len(sql)
        yield replace(change, sql=sql)


def _cut(sql: str, most: int) -> str:
    return sql if len(sql) <= most else f"{sql[:most]}\n-- … {len(sql) - most:,} more characters"


def _describe_one(change: StructureChange) -> DescribedChange:
    sql = _cut(write_change(change), MOST_SQL)
    key = change.key
    return DescribedChange(change.action, key.kind.value, name_object(key), key.part, describe_change(change), sql)
