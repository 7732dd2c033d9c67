"""Stores writes as pending before the project's COMMIT. Concurrent writes share one transaction of our database.

One task owns one database connection. Writes that arrive while a batch is stored form the next batch, so batches
grow with the load and a single write is stored at once.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
import structlog

from basewarden.connections import make_stop_error
from basewarden.core.ids import make_id
from basewarden.core.secret import Secret
from basewarden.core.tasks import end_task
from basewarden.db import Listener, driver_dsn
from basewarden.errors import AppError
from basewarden.journal import statements
from basewarden.journal.errors import JournalUnavailable, SessionFrozen, make_frozen_error
from basewarden.journal.notices import ChangeNotices
from basewarden.journal.outcomes import REJECTED_ERRORS, OutcomeQueue
from basewarden.journal.statements import Counters, StoredWrite
from basewarden.journal.values import IntentOutcome, Recorded, SessionCaller, State, WriteEntry
from basewarden.policy import CountedRows, HourOfUse, Refused, add_use, lock_use, make_hours, read_use
from pgrest import DatabaseError, DbConnection, Statement

BURST_SECONDS = 300.0
STOP_SECONDS = 10.0
STORE_SECONDS = 10.0
OUTCOME_SECONDS = 5.0
MAX_BATCH = 128
MAX_INLINE_CHANGES = 500
MAX_SESSIONS = 10_000
"""The number of callers whose current session a process remembers."""
MIN_CHANGES_PER_SECOND = 3000
SESSION_TOPIC = "journal.session"
_RETRY_SECONDS = 0.5
_log = structlog.get_logger()


@dataclass(slots=True)
class PendingEntry:
    entry: WriteEntry
    answer: "asyncio.Future[Recorded]"
    write_id: UUID

    def fail(self, error: AppError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def resolve(self, stored: StoredWrite) -> None:
        if not self.answer.done():
            place = (stored.first_position, self.entry.positions)
            self.answer.set_result(Recorded(stored.session_id, self.write_id, *place, counted=self._count()))

    def _count(self) -> CountedRows | None:
        caller = self.entry.caller
        is_settled_later = self.entry.xid is None and caller.max_rows_per_hour is not None
        return CountedRows(caller.caller_id, self.entry.rows) if is_settled_later else None


class Recorder:
    """Stores writes: `record` returns once the write is pending, `mark` sets its outcome later.

    `store_outcome` sets the outcome and the changes of an intent, which are known only then.
    """

    def __init__(self, database_url: Secret, listener: Listener, *, max_sessions: int = MAX_SESSIONS) -> None:
        self._dsn = driver_dsn(database_url)
        self._connection: DbConnection | None = None
        self._queue: list[PendingEntry] = []
        self._marks: dict[UUID, State] = {}
        self._work_added = asyncio.Event()
        self._notices = ChangeNotices(self._work_added.set)
        self._outcomes = OutcomeQueue(self._notices)
        self._sessions: dict[str, tuple[UUID, float]] = {}
        self._max_sessions = max_sessions
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        listener.on(SESSION_TOPIC, self._forget_session)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="journal-recorder")

    async def stop(self) -> None:
        """Stores what is queued, then closes the database connection."""
        self._stopping = True
        self._notices.end()
        self._work_added.set()
        if self._task is not None:
            await end_task(self._task, grace_seconds=STOP_SECONDS)
        if self._connection is not None:
            await self._connection.close()

    async def record(self, entry: WriteEntry) -> Recorded:
        """Raises SessionFrozen when the session's limit is reached, JournalUnavailable when nothing was stored.

        A cancelled caller may leave a pending write behind; the reconciler then finds its transaction aborted.
        """
        pending = PendingEntry(entry, asyncio.get_running_loop().create_future(), entry.write_id or make_id())
        self._queue.append(pending)
        self._work_added.set()
        return await pending.answer

    def mark(self, write_id: UUID, state: State) -> None:
        self._marks[write_id] = state
        self._work_added.set()

    async def store_outcome(self, outcome: IntentOutcome) -> bool:
        """Stores what an intent did; False when that takes longer than OUTCOME_SECONDS.

        The outcome is then retried until this process ends. Until it is stored, the intent stays pending, and becomes
        unknown when it is older than INTENT_LIFE.
        """
        stored = self._outcomes.add(outcome)
        self._work_added.set()
        await asyncio.wait({stored}, timeout=OUTCOME_SECONDS)
        return stored.done() and stored.result()

    def queue_outcome(self, outcome: IntentOutcome) -> None:
        """Stores an outcome later, for a caller that cannot wait for it."""
        self._outcomes.add(outcome)
        self._work_added.set()

    def _has_work(self) -> bool:
        return bool(self._queue or self._marks or self._outcomes or self._notices.is_due)

    async def _run(self) -> None:
        while not self._stopping or self._has_work():
            await self._work_added.wait()
            self._work_added.clear()
            while self._has_work():
                if self._notices.is_due:
                    await self._send_notices()
                    continue
                batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
                marks, self._marks = self._marks, {}
                if not await self._flush(batch, marks) and self._stopping:
                    return

    async def _flush(self, batch: list[PendingEntry], marks: dict[UUID, State]) -> bool:
        """Stores a batch; False when our database failed. Then the writes are refused and the marks are retried."""
        try:
            async with asyncio.timeout(_timeout_seconds(batch)):  # a database that hangs must not stop the journal
                connection = await self._connect()
                await self._outcomes.store(connection)
                await (self._store_batch(connection, batch, marks) if batch else self._store_marks(connection, marks))
        except Exception as error:  # noqa: BLE001 - if this loop ended, every later write would wait forever
            await self._on_failure(error, batch, marks)
            return False
        return True

    async def _send_notices(self) -> None:
        """Runs between two batches: a failure here concerns no write."""
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._notices.send(await self._connect())
        except Exception as error:  # noqa: BLE001 - if this loop ended, every later write would wait forever
            _log.warning("journal.notice_failed", reason=type(error).__name__)
            self._notices.postpone()
            await self._disconnect()

    async def _on_failure(self, error: Exception, batch: list[PendingEntry], marks: dict[UUID, State]) -> None:
        _log.warning("journal.store_failed", reason=type(error).__name__, writes=len(batch))
        self._marks = {**marks, **self._marks}
        await self._disconnect()
        for pending in batch:
            pending.fail(JournalUnavailable())
        if self._marks or self._outcomes:
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
        """Does not wait for the disk: the reconciler finds the state of a mark that a crash lost."""
        if marks:
            _, marked = await connection.run([statements.DO_NOT_WAIT_FOR_DISK, statements.mark_writes(marks)])
            self._notices.add(statements.read_connection_ids(marked))

    async def _store_batch(self, connection: DbConnection, batch: list[PendingEntry], marks: dict[UUID, State]) -> None:
        """Stores writes and marks in one transaction: a second commit would double the cost."""
        try:
            await self._store(connection, batch, marks)
        except REJECTED_ERRORS:
            await _roll_back(connection)
            await self._store_marks(connection, marks)
            if len(batch) == 1:
                raise
            for pending in batch:  # one of them was rejected; the others can still be stored
                await self._store_alone(connection, pending)

    async def _store_alone(self, connection: DbConnection, pending: PendingEntry) -> None:
        try:
            await self._store(connection, [pending], {})
        except REJECTED_ERRORS as error:
            _log.error("journal.write_refused", reason=type(error).__name__)
            pending.fail(JournalUnavailable())
            await _roll_back(connection)

    async def _store(self, connection: DbConnection, batch: Sequence[PendingEntry], marks: dict[UUID, State]) -> None:
        session_ids = [await self._resolve_session(connection, pending.entry) for pending in batch]
        marking = [statements.mark_writes(marks)] if marks else []
        locks = [*statements.share_stops(pending.entry for pending in batch), statements.lock_sessions(session_ids)]
        _, *answers = await connection.run([Statement("BEGIN"), *marking, *locks])
        marked, rows = answers[: len(marking)], answers[-1]
        counters = statements.read_counters(rows)
        hours = await _lock_hours(connection, [pending.entry for pending in batch])
        writes, retried, refused = self._assign_positions(batch, session_ids, counters, hours)
        used = {agent: hour.added for agent, hour in hours.items() if hour.added}
        await connection.run(
            [
                *await _make_statements(writes, list(counters.values())),
                *statements.freeze_sessions(counters.values()),
                *([add_use(used)] if used else []),
                Statement("COMMIT"),
            ]
        )
        for rows_marked in marked:
            self._notices.add(statements.read_connection_ids(rows_marked))
        for pending, write in writes:
            pending.resolve(write)
        for pending, error in refused:
            pending.fail(error)
        self._queue = [*retried, *self._queue]

    def _assign_positions(
        self,
        batch: Sequence[PendingEntry],
        session_ids: Sequence[UUID],
        counters: dict[UUID, Counters],
        hours: Mapping[UUID, HourOfUse],
    ) -> tuple[list[tuple[PendingEntry, StoredWrite]], list[PendingEntry], list[tuple[PendingEntry, AppError]]]:
        """Assigns each write its positions in its session; the sessions' rows are locked.

        A write over its session's budget is refused and freezes the session; the freeze is stored. One over the budget
        of the hour is refused, and so is one of an agent that was stopped since it began.
        """
        placed: list[tuple[PendingEntry, StoredWrite]] = []
        retried: list[PendingEntry] = []
        refused: list[tuple[PendingEntry, AppError]] = []
        for pending, session_id in zip(batch, session_ids, strict=True):
            entry, session = pending.entry, counters.get(session_id)
            if session is None and entry.session_id is not None:
                pending.fail(JournalUnavailable())  # its connection was deleted in the meantime
            elif session is None or (entry.session_id is None and not session.is_open):
                self._sessions.pop(entry.caller.key, None)  # undone in the meantime: retry in a new session
                retried.append(pending)
            elif entry.session_id is None and session.stop is not None:
                refused.append((pending, make_stop_error(session.stop)))
            elif entry.session_id is None and _freeze_if_used_up(session, entry):
                refused.append((pending, _make_frozen(session, entry.caller)))
            elif (over := _find_excess(hours, entry)) is not None:
                refused.append((pending, over))
            else:
                placed.append((pending, StoredWrite(pending.write_id, session_id, session.position, entry)))
                session.add_write(entry)
        return placed, retried, refused

    async def _resolve_session(self, connection: DbConnection, entry: WriteEntry) -> UUID:
        if entry.session_id is not None:
            return entry.session_id
        key = entry.caller.key
        known = self._sessions.get(key)
        now = time.monotonic()
        if known is None or (entry.caller.label is None and now - known[1] > BURST_SECONDS):
            session_id = await _find_or_open_session(connection, entry.caller)
        else:
            session_id = known[0]
        self._remember(key, session_id, now)
        return session_id

    def _remember(self, key: str, session_id: UUID, now: float) -> None:
        """Remembers a caller's session, and forgets the least recently used one beyond the limit."""
        self._sessions.pop(key, None)
        self._sessions[key] = (session_id, now)
        if len(self._sessions) > self._max_sessions:
            del self._sessions[next(iter(self._sessions))]

    def _forget_session(self, payload: str) -> None:
        """Handles a session that another process closed; an empty payload means that notifications were lost."""
        self._sessions = {key: value for key, value in self._sessions.items() if payload and str(value[0]) != payload}


def _timeout_seconds(batch: Sequence[PendingEntry]) -> float:
    """Allows more time for many changes, such as those of a large undo."""
    return STORE_SECONDS + sum(len(pending.entry.changes) for pending in batch) / MIN_CHANGES_PER_SECOND


async def _make_statements(
    writes: Sequence[tuple[PendingEntry, StoredWrite]], counters: Sequence[Counters]
) -> list[Statement]:
    """Encodes many changes in a thread, because that would block the event loop."""
    if sum(len(pending.entry.changes) for pending, _ in writes) <= MAX_INLINE_CHANGES:
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


async def _lock_hours(connection: DbConnection, entries: Iterable[WriteEntry]) -> dict[UUID, HourOfUse]:
    """What agents with a limit by the hour have used, locked until the end of the transaction."""
    agents = {entry.caller.caller_id for entry in entries if entry.caller.max_rows_per_hour is not None}
    if not agents:
        return {}
    *_, rows = await connection.run([*lock_use(agents), read_use(agents)])
    return make_hours(rows)


def _find_excess(hours: Mapping[UUID, HourOfUse], entry: WriteEntry) -> AppError | None:
    """Counts the rows of a write for the hour, unless they are too many."""
    limit = entry.caller.max_rows_per_hour
    if limit is None:
        return None
    hour = hours[entry.caller.caller_id]
    decision = hour.decide(limit, entry.rows)
    if isinstance(decision, Refused):
        return decision.error
    hour.add(entry.rows)
    return None


def _freeze_if_used_up(session: Counters, entry: WriteEntry) -> bool:
    """Freezes a session whose budget is used up; True when it is frozen, now or before."""
    if session.frozen_reason is None and _is_used_up(session, entry):
        session.freeze()
    return session.frozen_reason is not None


def _is_used_up(session: Counters, entry: WriteEntry) -> bool:
    caller = entry.caller
    if caller.max_writes is not None and session.write_count - session.budget_from >= caller.max_writes:
        return True
    return caller.max_rows is not None and session.rows - session.rows_from + entry.rows > caller.max_rows


def _make_frozen(session: Counters, caller: SessionCaller) -> SessionFrozen:
    return make_frozen_error(session.session_id, caller.label, is_by_member=session.frozen_reason == "member")
