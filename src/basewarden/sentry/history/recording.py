"""Stores a version of a connection's schema where something changed, in the worker of jobs.

Any process may notice a change, and several may read the schema at once. A reading is stored only where no other was
stored since it began, so that versions follow each other as the schema did.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from basewarden.core.ids import make_id
from basewarden.db import Database, WriteSession
from basewarden.errors import AppError, NotFound
from basewarden.gateway import SCAN, NeedsPostgres, Projects
from basewarden.jobs import Jobs, RetryPolicy
from basewarden.sentry.history import HISTORY_JOB, queries
from basewarden.sentry.history.authors import VersionAuthor, find_author
from basewarden.sentry.history.comparing import StructureChange, compare_structures, count_actions
from basewarden.sentry.history.reading import ReadStructure, read_structure
from basewarden.sentry.history.structure import (
    ItemKind,
    Structure,
    StructureNotKept,
    decode_structure,
    encode_structure,
)
from basewarden.sentry.history.wording import describe_briefly, describe_change
from basewarden.sentry.models import SchemaHead, SchemaVersion, VersionCause
from basewarden.sentry.words import list_names
from basewarden.web import count_things
from pgrest import DatabaseError, PgrestError

MOST_SENTENCES: Final = 5
_MOST_BRIEFS: Final = 3
_LONGEST_SENTENCE: Final = 300
_SETTLE: Final = timedelta(seconds=1)
"""A migration changes a schema many times; what follows so soon is in the same version."""
_TRIES: Final = 3
_COUNTED: Final = (ItemKind.TABLE, ItemKind.VIEW, ItemKind.FUNCTION, ItemKind.POLICY)
_log = structlog.get_logger()


class ReadingFailed(Exception):
    """Its text says why, for people."""


@dataclass(frozen=True, slots=True)
class VersionDraft:
    """What is stored where no other process was first. An empty `body`: the schema is as it was."""

    read: ReadStructure
    body: bytes
    changes: Sequence[StructureChange]
    is_first: bool


class SchemaHistory:
    def __init__(self, database: Database, jobs: Jobs, projects: Projects) -> None:
        self._database = database
        self._jobs = jobs
        self._projects = projects
        jobs.register(HISTORY_JOB, self._run_job, retry=RetryPolicy(attempts=1))

    async def note_version(self, connection_id: UUID, catalog: str) -> None:
        """A snapshot of the schema was loaded, of this version of the catalog."""
        async with self._database.unit_of_work() as unit:
            head = await queries.find_head(unit, connection_id)
            if head is None or head.catalog != catalog:
                await self.plan(unit, connection_id)

    async def plan(self, session: WriteSession, connection_id: UUID) -> None:
        """Reads the schema soon, once for all that ask for it until then."""
        key = f"{HISTORY_JOB}:{connection_id}"
        await self._jobs.enqueue(session, HISTORY_JOB, {"connection": str(connection_id)}, after=_SETTLE, key=key)

    async def _run_job(self, arguments: dict[str, Any]) -> None:
        await self.record(UUID(arguments["connection"]))

    async def record(self, connection_id: UUID) -> None:
        """Reads the schema, and stores a version where something changed."""
        for _ in range(_TRIES):
            head, latest = await self._find_latest(connection_id)
            checks = head.checks if head else 0
            try:
                draft = await self._make_draft(connection_id, latest)
            except (NotFound, NeedsPostgres):
                return  # it was deleted, or has no connection string any more
            except ReadingFailed as error:
                await self._note_problem(connection_id, str(error))
                return
            if await self._store(connection_id, checks, draft):
                return

    async def _find_latest(self, connection_id: UUID) -> tuple[SchemaHead | None, SchemaVersion | None]:
        async with self._database.read_only() as session:
            head = await queries.find_head(session, connection_id)
            return head, await queries.find_version(session, connection_id, head.number) if head else None

    async def _make_draft(self, connection_id: UUID, latest: SchemaVersion | None) -> VersionDraft:
        """Raises ReadingFailed, NotFound and NeedsPostgres."""
        read = await self._read(connection_id)
        try:
            return await asyncio.to_thread(_compare, read, latest.body if latest else None)
        except StructureNotKept as error:
            raise ReadingFailed(str(error)) from error

    async def _read(self, connection_id: UUID) -> ReadStructure:
        try:
            project = await self._projects.get_direct(connection_id)
            async with project.pool.acquire(SCAN) as connection:
                return await read_structure(connection)
        except (NotFound, NeedsPostgres):
            raise
        except AppError as error:
            raise ReadingFailed(error.text) from error
        except (DatabaseError, PgrestError) as error:
            raise ReadingFailed(f"The project's database could not be asked: {error.message}.") from error
        except (msgspec.DecodeError, ValueError) as error:  # what a PostgreSQL never answers
            raise ReadingFailed("The database answered something else than was asked.") from error

    async def _store(self, connection_id: UUID, checks: int, draft: VersionDraft) -> bool:
        """False where another process stored a reading meanwhile."""
        read = draft.read
        async with self._database.unit_of_work() as unit:
            head = await queries.lock_head(unit, connection_id)
            if head is None:
                return True
            if head.checks != checks:
                return False
            number = await self._add(unit, head, draft) if draft.body else head.number
            values = {"number": number, "catalog": read.catalog, "checked_at": datetime.now(UTC), "problem": None}
            since = {"next_xid": read.next_xid, "unfinished": list(read.unfinished)}
            await queries.update_head(unit, connection_id, {**values, **since})
        return True

    async def _add(self, unit: WriteSession, head: SchemaHead, draft: VersionDraft) -> int:
        number = head.number + 1
        if draft.is_first:
            author, summary = VersionAuthor(VersionCause.FIRST), [_describe_first(draft.read.structure)]
        else:
            author, summary = await find_author(unit, head, draft.changes, draft.read), _summarise(draft.changes)
        values = {
            "id": make_id(),
            "connection_id": head.connection_id,
            "number": number,
            "body": draft.body,
            "size": len(draft.body),
            **_name_author(author),
            **_count(draft.changes),
            "summary": summary,
            "briefs": [describe_briefly(one) for one in draft.changes[:_MOST_BRIEFS]],
        }
        await queries.insert_version(unit, values)
        await queries.delete_excess(unit, head.connection_id, number)
        _log.info("schema.version", connection=str(head.connection_id), number=number, cause=author.cause.value)
        return number

    async def _note_problem(self, connection_id: UUID, problem: str) -> None:
        async with self._database.unit_of_work() as unit:
            if await queries.lock_head(unit, connection_id) is not None:
                await queries.update_head(unit, connection_id, {"problem": problem})


def _compare(read: ReadStructure, body: bytes | None) -> VersionDraft:
    """Raises StructureNotKept."""
    changes = compare_structures(decode_structure(body), read.structure) if body else []
    is_new = bool(changes) or body is None
    return VersionDraft(read, encode_structure(read.structure) if is_new else b"", changes, is_first=body is None)


def _name_author(author: VersionAuthor) -> dict[str, Any]:
    values = asdict(author)
    values["actor_name"] = values.pop("name")
    return values


def _count(changes: Sequence[StructureChange]) -> dict[str, int]:
    return {action.value: number for action, number in count_actions(changes).items()}


def _summarise(changes: Sequence[StructureChange]) -> list[str]:
    return [describe_change(one)[:_LONGEST_SENTENCE] for one in changes[:MOST_SENTENCES]]


def _describe_first(structure: Structure) -> str:
    counts = Counter(key.kind for key in structure)
    things = [
        count_things(counts[kind], kind.value, "policies" if kind is ItemKind.POLICY else None) for kind in _COUNTED
    ]
    return f"The first version, with {list_names(things)}."
