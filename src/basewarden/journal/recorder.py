"""Stores mutations as pending before the project's COMMIT. Concurrent writes share one transaction of ours.

One task owns one connection. What arrives while a batch is on its way makes the next batch: the busier it
is, the larger the batches, and a lone write waits for nobody.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import structlog

from basewarden.core.ids import make_id
from basewarden.core.secret import Secret
from basewarden.core.tasks import end_task
from basewarden.db import Listener, driver_dsn
from basewarden.errors import AppError
from basewarden.journal import statements
from basewarden.journal.errors import JournalUnavailable, SessionFrozen
from basewarden.journal.finishing import Finishing
from basewarden.journal.statements import Counters, StoredWrite
from basewarden.journal.values import Finish, Recorded, SessionCaller, State, WriteEntry
from pgrest import DatabaseError, DbConnection, Statement

BURST_SECONDS = 300.0
STOP_SECONDS = 10.0
STORE_SECONDS = 10.0
FINISH_SECONDS = 5.0
MAX_BATCH = 128
FEW_CHANGES = 500
MOST_SESSIONS = 10_000
"""How many sessions a process remembers as the one that its caller writes in."""
SLOWEST_CHANGES_PER_SECOND = 3000
SESSION_TOPIC = "journal.session"
_RETRY_SECONDS = 0.5
_MISFITS = (DatabaseError, ValueError)  # what PostgreSQL refuses, and text that has no UTF-8
_log = structlog.get_logger()

_SessionKey = tuple[UUID, str, str | None]


@dataclass(slots=True)
class _Waiting:
    entry: WriteEntry
    answer: "asyncio.Future[Recorded]"
    write_id: UUID = field(default_factory=make_id)

    def fail(self, error: AppError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def resolve(self, stored: StoredWrite) -> None:
        if not self.answer.done():
            place = (stored.first_position, self.entry.positions)
            self.answer.set_result(Recorded(stored.session_id, self.write_id, *place))


class Recorder:
    """`record` returns once the write is stored as pending; `mark` tells later what became of it.

    `finish` does so for an intent, whose changes are known only then.
    """

    def __init__(self, database_url: Secret, listener: Listener, *, most_sessions: int = MOST_SESSIONS) -> None:
        self._dsn = driver_dsn(database_url)
        self._connection: DbConnection | None = None
        self._queue: list[_Waiting] = []
        self._marks: dict[UUID, State] = {}
        self._finishing = Finishing()
        self._wake = asyncio.Event()
        self._sessions: dict[_SessionKey, tuple[UUID, float]] = {}
        self._most_sessions = most_sessions
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        listener.on(SESSION_TOPIC, self._forget_session)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="journal-recorder")

    async def stop(self) -> None:
        """Stores what is queued, then ends."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await end_task(self._task, grace_seconds=STOP_SECONDS)
        if self._connection is not None:
            await self._connection.close()

    async def record(self, entry: WriteEntry) -> Recorded:
        """Raises SessionFrozen when the session's limit is reached, JournalUnavailable when nothing was stored.

        A caller that stops waiting may still leave a pending write behind: the settler finds its transaction
        aborted.
        """
        waiting = _Waiting(entry, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._wake.set()
        return await waiting.answer

    def mark(self, write_id: UUID, state: State) -> None:
        self._marks[write_id] = state
        self._wake.set()

    async def finish(self, finish: Finish) -> bool:
        """Whether it is stored by now. If not it is kept, and tried again for as long as this process lives.

        Then the intent stays pending for everybody else, and after a while unknown.
        """
        stored = self._finishing.add(finish)
        self._wake.set()
        await asyncio.wait({stored}, timeout=FINISH_SECONDS)
        return stored.done() and stored.result()

    def finish_later(self, finish: Finish) -> None:
        """For whoever cannot wait: an outcome that nobody is told."""
        self._finishing.add(finish)
        self._wake.set()

    def _has_work(self) -> bool:
        return bool(self._queue or self._marks or self._finishing)

    async def _run(self) -> None:
        while not self._stopping or self._has_work():
            await self._wake.wait()
            self._wake.clear()
            while self._has_work():
                batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
                marks, self._marks = self._marks, {}
                if not await self._flush(batch, marks) and self._stopping:
                    return

    async def _flush(self, batch: list[_Waiting], marks: dict[UUID, State]) -> bool:
        """False when our database could not be reached; the marks are kept for later, the writes refused."""
        try:
            async with asyncio.timeout(_allow_seconds(batch)):  # no answer at all must not stop the journal
                connection = await self._connect()
                await self._finishing.store(connection)
                await (self._store_batch(connection, batch, marks) if batch else self._store_marks(connection, marks))
        except Exception as error:  # noqa: BLE001 - a loop that ends would leave every write waiting for ever
            await self._on_failure(error, batch, marks)
            return False
        return True

    async def _on_failure(self, error: Exception, batch: list[_Waiting], marks: dict[UUID, State]) -> None:
        _log.warning("journal.store_failed", reason=type(error).__name__, writes=len(batch))
        self._marks = {**marks, **self._marks}
        await self._disconnect()
        for waiting in batch:
            waiting.fail(JournalUnavailable())
        if self._marks or self._finishing:
            await asyncio.sleep(_RETRY_SECONDS)

    async def _connect(self) -> DbConnection:
        if self._connection is None or not self._connection.is_usable:
            self._connection = await DbConnection.connect(self._dsn, application_name="basewarden journal")
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError, psycopg.Error):
                await self._connection.close()
            self._connection = None

    async def _store_marks(self, connection: DbConnection, marks: dict[UUID, State]) -> None:
        """A crash that loses them costs a question of the settler's, so nobody waits for the disk."""
        if marks:
            await connection.run([statements.DO_NOT_WAIT_FOR_DISK, statements.mark_writes(marks)])

    async def _store_batch(self, connection: DbConnection, batch: list[_Waiting], marks: dict[UUID, State]) -> None:
        """Marks go along: a commit of their own would cost as much as that of the writes."""
        try:
            await self._store(connection, batch, marks)
        except _MISFITS:
            await _roll_back(connection)
            await self._store_marks(connection, marks)
            if len(batch) == 1:
                raise
            for waiting in batch:  # one of them does not fit; the others must not suffer for it
                await self._store_alone(connection, waiting)

    async def _store_alone(self, connection: DbConnection, waiting: _Waiting) -> None:
        try:
            await self._store(connection, [waiting], {})
        except _MISFITS as error:
            _log.error("journal.write_refused", reason=type(error).__name__)
            waiting.fail(JournalUnavailable())
            await _roll_back(connection)

    async def _store(self, connection: DbConnection, batch: Sequence[_Waiting], marks: dict[UUID, State]) -> None:
        session_ids = [await self._resolve_session(connection, waiting.entry) for waiting in batch]
        marking = [statements.mark_writes(marks)] if marks else []
        *_, rows = await connection.run([Statement("BEGIN"), *marking, statements.lock_sessions(session_ids)])
        counters = statements.read_counters(rows)
        writes, again, frozen = self._place(batch, session_ids, counters)
        await connection.run(
            [
                *await _make_statements(writes, list(counters.values())),
                *statements.freeze_sessions(counters.values()),
                Statement("COMMIT"),
            ]
        )
        for waiting, write in writes:
            waiting.resolve(write)
        for waiting, error in frozen:
            waiting.fail(error)
        self._queue = [*again, *self._queue]

    def _place(
        self, batch: Sequence[_Waiting], session_ids: Sequence[UUID], counters: dict[UUID, Counters]
    ) -> tuple[list[tuple[_Waiting, StoredWrite]], list[_Waiting], list[tuple[_Waiting, SessionFrozen]]]:
        """Gives each write its place in its session, under the sessions' row locks.

        A write over the budget freezes its session, which is stored though the write is refused.
        """
        placed: list[tuple[_Waiting, StoredWrite]] = []
        again: list[_Waiting] = []
        frozen: list[tuple[_Waiting, SessionFrozen]] = []
        for waiting, session_id in zip(batch, session_ids, strict=True):
            entry, session = waiting.entry, counters.get(session_id)
            if session is None and entry.session_id is not None:
                waiting.fail(JournalUnavailable())  # its connection was deleted meanwhile
            elif session is None or (entry.session_id is None and not session.is_open):
                self._sessions.pop(_session_key(entry.caller), None)  # undone meanwhile: a new one begins
                again.append(waiting)
            elif entry.session_id is None and _freeze_if_used_up(session, entry.caller):
                frozen.append((waiting, _make_frozen(session, entry.caller)))
            else:
                placed.append((waiting, StoredWrite(waiting.write_id, session_id, session.position, entry)))
                session.take(entry.positions)
        return placed, again, frozen

    async def _resolve_session(self, connection: DbConnection, entry: WriteEntry) -> UUID:
        if entry.session_id is not None:
            return entry.session_id
        key = _session_key(entry.caller)
        known = self._sessions.get(key)
        now = time.monotonic()
        if known is None or (entry.caller.label is None and now - known[1] > BURST_SECONDS):
            session_id = await _find_or_open_session(connection, entry.caller)
        else:
            session_id = known[0]
        self._remember(key, session_id, now)
        return session_id

    def _remember(self, key: _SessionKey, session_id: UUID, now: float) -> None:
        """A client names as many sessions as it likes: the one that was used longest ago is looked up again."""
        self._sessions.pop(key, None)
        self._sessions[key] = (session_id, now)
        if len(self._sessions) > self._most_sessions:
            del self._sessions[next(iter(self._sessions))]

    def _forget_session(self, payload: str) -> None:
        """Another process closed a session, or we may have missed that it did."""
        self._sessions = {key: value for key, value in self._sessions.items() if payload and str(value[0]) != payload}


def _allow_seconds(batch: Sequence[_Waiting]) -> float:
    """Many changes at once, as those of a large undo, take longer to encode and to store."""
    return STORE_SECONDS + sum(len(waiting.entry.changes) for waiting in batch) / SLOWEST_CHANGES_PER_SECOND


async def _make_statements(
    writes: Sequence[tuple[_Waiting, StoredWrite]], counters: Sequence[Counters]
) -> list[Statement]:
    """Of many changes beside the event loop: to encode them takes long."""
    if sum(len(waiting.entry.changes) for waiting, _ in writes) <= FEW_CHANGES:
        return statements.store_writes(writes, counters)
    return await asyncio.to_thread(statements.store_writes, writes, counters)


async def _find_or_open_session(connection: DbConnection, caller: SessionCaller) -> UUID:
    await connection.run([Statement("BEGIN"), statements.lock_caller(caller)])
    try:
        (rows,) = await connection.run([statements.find_session(caller, BURST_SECONDS)])
        if rows.rows:
            session_id = statements.read_session_id(rows)
        else:
            session_id = make_id()
            await connection.run([statements.open_session(session_id, caller)])
    except DatabaseError:
        await _roll_back(connection)
        raise
    await connection.run([Statement("COMMIT")])
    return session_id


async def _roll_back(connection: DbConnection) -> None:
    if connection.is_usable:
        await connection.run([Statement("ROLLBACK")])


def _session_key(caller: SessionCaller) -> _SessionKey:
    return (caller.connection_id, caller.caller_key, caller.label)


def _freeze_if_used_up(session: Counters, caller: SessionCaller) -> bool:
    """Whether the session is frozen, now or since before."""
    used = session.write_count - session.budget_from
    if session.frozen_reason is None and caller.max_writes is not None and used >= caller.max_writes:
        session.freeze()
    return session.frozen_reason is not None


def _make_frozen(session: Counters, caller: SessionCaller) -> SessionFrozen:
    is_by_member = session.frozen_reason == "member"
    return SessionFrozen(
        "A member of this connection has frozen this session." if is_by_member else None,
        details={"sessionId": str(session.session_id)},
        hint=_frozen_hint(caller),
    )


def _frozen_hint(caller: SessionCaller) -> str:
    if caller.label is not None:
        return "It stays frozen until an editor of the connection releases it."
    return "It stays frozen until an editor of the connection releases it; a new one begins after five idle minutes."
