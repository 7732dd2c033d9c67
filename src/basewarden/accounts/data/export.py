"""Exports everything that is stored about a person, as one JSON file. A rule test finds tables that no feature exports.

The file is streamed from one snapshot of our database, on one connection. Only columns that a part names are exported,
so a new column is left out until it is added.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import RowMapping

from basewarden.accounts.attempts import Attempt, Attempts, Limit
from basewarden.accounts.data import queries
from basewarden.accounts.emails import Emails
from basewarden.accounts.signin.sessions import Person
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.db import Database, ReadSession
from basewarden.errors import TooMany

Row = Mapping[str, Any] | RowMapping
Rows = AsyncGenerator[Row, None]

EXPORTS = Limit(20, 60 * 60)
AT_ONCE = 2  # of one person, in all processes
AT_ONCE_HERE = 4  # of all people in this process: each holds one of the pool's connections
_PIECE_BYTES = 64 * 1024
_RETRY_SECONDS = 30
_FORMAT = 1
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class ExportPart:
    """One list of the file, from one table. Only `columns` and `joined` of what `rows` yields are exported.

    `columns` and `left_out` together name every column of the table; `joined` are names from other tables for ids.
    """

    name: str
    table: str
    rows: Callable[[ReadSession, Person], Rows]
    columns: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    joined: tuple[str, ...] = ()


class Export:
    def __init__(
        self, *, database: Database, attempts: Attempts, emails: Emails, audit: Audit, parts: Sequence[ExportPart]
    ) -> None:
        self.parts = tuple(parts)
        self._database = database
        self._attempts = attempts
        self._emails = emails
        self._audit = audit
        self._running = 0

    @asynccontextmanager
    async def open(self, person: Person, client_info: ClientInfo) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """Yields the file in pieces. TooMany before the first piece; the connection is released when the block ends.

        The export is recorded before the first piece, because an interrupted stream has exported data as well.
        """
        await self._attempts.acquire(Attempt("export.person", str(person.id), EXPORTS))
        async with self._place(), self._database.snapshot() as session:
            if not await queries.try_take_export_place(session, person.id, AT_ONCE):
                raise TooMany.retry_after(
                    _RETRY_SECONDS, "An export of your data is already running. Wait until it has finished."
                )
            await self._note(person, client_info)
            async with aclosing(self._write(session, person)) as pieces:
                yield pieces

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._running >= AT_ONCE_HERE:
            raise TooMany.retry_after(_RETRY_SECONDS, "Too many exports at once. Try again in a minute.")
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def _note(self, person: Person, client_info: ClientInfo) -> None:
        async with self._database.write_now() as session:
            event = AccountEvent(subject=person.audit_id, kind=EventKind.DATA_EXPORTED, client_info=client_info)
            await self._audit.record(session, event)
            await self._emails.enqueue(session, "data_exported", person, client_info)

    async def _write(self, session: ReadSession, person: Person) -> AsyncGenerator[bytes, None]:
        piece = bytearray(b'{"format":%d,"exportedAt":%b' % (_FORMAT, _encode(datetime.now(UTC))))
        for part in self.parts:
            piece += b",\n%b:[" % _encode(part.name)
            between = b"\n"
            async with aclosing(part.rows(session, person)) as rows:
                async for row in rows:
                    piece += between + _encode(show_row(part, row))
                    between = b",\n"
                    if len(piece) >= _PIECE_BYTES:
                        yield bytes(piece)
                        piece.clear()
            piece += b"]"
        piece += b',\n"leftOut":%b}\n' % _encode(self._list_left_out())
        yield bytes(piece)

    def _list_left_out(self) -> dict[str, dict[str, str]]:
        """The columns that are not in the file, each with its reason."""
        return {
            part.name: {name_field(column): reason for column, reason in part.left_out.items()}
            for part in self.parts
            if part.left_out
        }


def show_row(part: ExportPart, row: Row) -> dict[str, Any]:
    return {name_field(column): row[column] for column in (*part.columns, *part.joined)}


def name_field(column: str) -> str:
    """The name in camel case, as in the API: `created_at` is `createdAt`."""
    return re.sub(r"_+(\w)", lambda match: match[1].upper(), column)
