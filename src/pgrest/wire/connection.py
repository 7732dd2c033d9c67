"""A connection that runs several statements in one round trip: libpq's pipeline under asyncio.

psycopg makes the connection (TLS, SCRAM, service files); after that its libpq handle is ours. One run is
one Sync, so it is one transaction unless BEGIN is among the statements, and an error undoes it all.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Self

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from pgrest.errors import (
    DatabaseError,
    DatabaseErrorFields,
    PgrestError,
    PlanStale,
    connection_lost,
    flooded,
)
from pgrest.sql.text import Statement
from pgrest.wire.budget import Meter
from pgrest.wire.connecting import open_guarded
from pgrest.wire.large import view_value
from pgrest.wire.valve import Valve, count_waiting

# Plain numbers, as libpq gives them: to compare with a member of an enum costs ten times as much.
_OK, _IDLE = int(pq.ConnStatus.OK), int(pq.TransactionStatus.IDLE)
_END, _ABORTED = int(pq.ExecStatus.PIPELINE_SYNC), int(pq.ExecStatus.PIPELINE_ABORTED)
_ROWS = tuple(map(int, (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY)))
_COPYING = tuple(map(int, (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH)))
_NO_SUCH_STATEMENT = "26000"
_STATEMENT_EXISTS = "42P05"
_WHERE_PLANS_ARE_CHECKED = "RevalidateCachedQuery"  # its text is in the server's language, its place is not
_INTERNAL = "XX000"
# Never translated: a statement that was prepared for a type, or met a relation, which is gone by now.
_GONE = ("cache lookup failed", "could not open relation with OID")
# Sent by its text, behind a SELECT's columns; behind a pooler nothing of ours has a name. Every name is qualified.
_GUARD = (
    b", 1 OPERATOR(pg_catalog./) CASE WHEN EXISTS "
    b"(SELECT FROM pg_catalog.pg_prepared_statements AS p WHERE p.from_sql) THEN 0 ELSE 1 END"
)
_DIVISION_BY_ZERO, _NOT_SUPPORTED = "22012", "0A000"
_TAMPERED = "Code of this database has prepared statements in a session that is not its own, so nothing was changed."
_LARGEST_PREPARED = 100_000  # longer texts are not worth keeping on the server
_CANCEL_SECONDS = 5.0
_REPORTED_SETTINGS = ("TimeZone", "DateStyle", "IntervalStyle", "session_authorization", "standard_conforming_strings")
_REPORTED_NAMES = [name.encode() for name in _REPORTED_SETTINGS]
# Of guarded connections: what may wait to be read before a valve is put in, what is read before the buffers of libpq
# are too large to keep, and what one that is not in use may send in a while.
_AT_ONCE_BYTES = 65_536
_LARGEST_KEPT_BYTES = 2_000_000
_IDLE_BYTES, _IDLE_SECONDS = 65_536, 10.0
_LONGEST_STEP_SECONDS = 0.25
_READING_SECONDS, _BYTES_PER_SECOND = 0.3, 10_000_000
"""The CPU time that libpq may take for one piece, and for a run: it compares each reported setting with all others."""


class Rows:
    """What one statement answered; values in text format, types by object id, `tag` as in `UPDATE 3`.

    libpq keeps it, and what no caller asks for is never made into objects of ours: most statements answer nothing
    that is read.
    """

    __slots__ = ("_may_be_large", "_result")

    def __init__(self, result: pq.abc.PGresult, *, may_be_large: bool = True) -> None:
        self._result = result
        self._may_be_large = may_be_large

    @property
    def columns(self) -> tuple[str, ...]:
        name = self._result.fname
        return tuple((name(i) or b"").decode("utf-8", "replace") for i in range(self._result.nfields))

    @property
    def types(self) -> tuple[int, ...]:
        return tuple(self._result.ftype(i) for i in range(self._result.nfields))

    @property
    def rows(self) -> list[tuple[bytes | None, ...]]:
        return list(self.each())

    def each(self) -> Iterator[tuple[bytes | None, ...]]:
        """One row at a time, where there may be many."""
        width, get = range(self._result.nfields), self._result.get_value
        return (tuple(get(row, column) for column in width) for row in range(self._result.ntuples))

    @property
    def tag(self) -> str:
        return (self._result.command_status or b"").decode("utf-8", "replace")

    @property
    def count(self) -> int:
        return self._result.ntuples

    def value(self, row: int, column: int) -> bytes | None:
        return self._result.get_value(row, column)

    def view(self, row: int, column: int) -> bytes | memoryview | None:
        """As `value`; of a large one a view, so that it is not copied."""
        return view_value(self._result, row, column) if self._may_be_large else self.value(row, column)

    def has_column(self, column: int) -> bool:
        return column < self._result.nfields

    def type_of(self, column: int) -> int:
        return self._result.ftype(column)


@dataclass(frozen=True, slots=True)
class Notification:
    channel: str
    payload: str


@dataclass(frozen=True, slots=True)
class _PipelineStep:
    """One message of a pipeline that has an answer of its own."""

    kind: Literal["prepare", "run", "close"]
    name: bytes = b""
    sql: str = ""


_RUN, _CLOSE, _GUARD_STEP = _PipelineStep("run"), _PipelineStep("close"), _PipelineStep("run")


class DbConnection:
    """Used by one task at a time; a pool sees to that.

    A guarded one reads no more than `meter` allows, whatever the server sends, and a little while it is idle.
    """

    def __init__(
        self,
        owner: psycopg.AsyncConnection[Any],
        *,
        prepare: bool = True,
        most_prepared: int = 200,
        guarded: bool = False,
    ) -> None:
        self._owner = owner
        self._pg = owner.pgconn
        self._loop = asyncio.get_running_loop()
        self.prepares = prepare
        """Whether statements are kept at the server under names. It stops by itself where the names are not its own."""
        self._most_prepared = most_prepared
        self._prepared: OrderedDict[str, bytes] = OrderedDict()
        self._doomed: list[bytes] = []
        self._counter = 0
        self._waiter: asyncio.Future[None] | None = None
        self._is_broken = False
        self._ended = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self.is_tampered = False
        """Whether user code has prepared statements here: the connection may not be used again."""
        self.may_unlock = False
        """Whether the login may release the session's locks."""
        self.on_notify: Callable[[Notification], None] | None = None
        self.defaults = {name: self._read_parameter(name) for name in _REPORTED_SETTINGS}
        """The session's own, whatever a transaction sets for itself meanwhile."""
        self._first_reported = self._read_reported()
        self._socket = self._pg.socket
        self._guarded = guarded
        self._arrivals = 0
        self._valve: Valve | None = None
        self._failure: PgrestError | None = None
        self._received = 0
        self._reading_seconds = 0.0
        self.meter: Meter | None = None
        """The current holder's; None while there is no holder."""
        self._idle_meter, self._idle_since = Meter(_IDLE_BYTES), 0.0
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._loop.add_reader(self._socket, self._on_readable)

    @property
    def is_as_made(self) -> bool:
        """False once user code has permanently changed a setting that the server reports of the session."""
        return self._read_reported() == self._first_reported

    def _read_reported(self) -> list[bytes | None]:
        return [*map(self._pg.parameter_status, _REPORTED_NAMES)]

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        timeout: float = 10,  # noqa: ASYNC109 - libpq's own connect_timeout
        application_name: str = "basewarden",
        prepare: bool = True,
        guarded: bool = False,
    ) -> Self:
        """Raises psycopg.OperationalError, whose text says what went wrong. A guarded one's addresses are numbers."""
        if guarded:
            conninfo = make_conninfo(dsn, application_name=application_name, client_encoding="UTF8")
            return cls(await open_guarded(conninfo, seconds=timeout), prepare=prepare, guarded=True)
        owner = await psycopg.AsyncConnection.connect(
            dsn,
            autocommit=True,
            connect_timeout=max(1, round(timeout)),
            application_name=application_name,
            client_encoding="UTF8",
        )
        return cls(owner, prepare=prepare)

    def _read_parameter(self, name: str) -> str:
        return (self._pg.parameter_status(name.encode()) or b"").decode("utf-8", "replace")

    @property
    def server_version(self) -> int:
        return self._pg.server_version

    @property
    def backend_pid(self) -> int:
        """The server process's id, as the server sent it at connect."""
        return self._pg.backend_pid

    @property
    def transaction_status(self) -> pq.TransactionStatus:
        return pq.TransactionStatus(self._pg.transaction_status)

    @property
    def is_between_transactions(self) -> bool:
        return self._pg.transaction_status == _IDLE

    @property
    def is_usable(self) -> bool:
        return not self._is_broken and self._pg.status == _OK

    @property
    def is_encrypted(self) -> bool:
        return bool(self._pg.ssl_in_use)

    @property
    def is_swollen(self) -> bool:
        """Libpq keeps its buffers as large as they once had to be, so such a connection is not worth keeping."""
        return self._received > _LARGEST_KEPT_BYTES

    async def run(self, statements: Sequence[Statement]) -> list[Rows]:
        """Run all in one round trip. Raises DatabaseError for the first that fails, after the last answer."""
        if self._waiter is not None or not self.is_usable:
            raise self._failure or connection_lost("The connection is not usable")
        self._arrivals, self._reading_seconds = 0, 0.0
        try:
            steps = self._send(statements)
            await self._flush()
            answers = await self._collect(steps, len(statements))
        except asyncio.CancelledError:
            self._abandon()
            raise
        except psycopg.OperationalError as error:
            self._close_broken()
            raise self._failure or connection_lost(str(error).strip()) from error
        finally:
            if self._valve is not None:
                self._remove_valve()
        return answers

    def break_off(self, error: PgrestError) -> None:
        """Raises `error` in the caller that waits for an answer, cancels the statement and closes the connection."""
        if not self._is_broken:
            self._failure = error
            self._abandon()
            if self._waiter is not None:
                _set_ready(self._waiter)

    async def wait_closed(self) -> None:
        """Until either side has ended the connection; what a listener does all day."""
        await self._ended.wait()

    async def close(self) -> None:
        self._mark_broken()
        await self._owner.close()

    # Sending --------------------------------------------------------------------------------------------

    def _send(self, statements: Sequence[Statement]) -> list[_PipelineStep]:
        steps: list[_PipelineStep] = []
        while self._doomed:
            name = self._doomed.pop()
            self._pg.send_close_prepared(name)
            steps.append(_CLOSE)
        fresh: dict[str, bytes] = {}
        for statement in statements:
            if statement.is_guard and self.prepares:
                self._pg.send_query_params(statement.sql.encode() + _GUARD, statement.params)
                steps.append(_GUARD_STEP)
                continue
            if not self.prepares or len(statement.sql) > _LARGEST_PREPARED:
                self._pg.send_query_params(statement.sql.encode(), statement.params)
            else:
                name = self._prepared_name(statement.sql, fresh, steps)
                self._pg.send_query_prepared(name, statement.params)
            steps.append(_RUN)
        self._pg.pipeline_sync()
        return steps

    def _prepared_name(self, sql: str, fresh: dict[str, bytes], steps: list[_PipelineStep]) -> bytes:
        name = self._prepared.get(sql)
        if name is not None:
            self._prepared.move_to_end(sql)
            return name
        name = fresh.get(sql)
        if name is not None:
            return name
        self._counter += 1
        name = fresh[sql] = b"bw%d" % self._counter
        self._pg.send_prepare(name, sql.encode())
        steps.append(_PipelineStep("prepare", name, sql))
        return name

    async def _flush(self) -> None:
        """Push out what libpq holds, reading meanwhile so that neither side waits for the other."""
        while self._pg.flush():
            self._require_whole()
            writable = self._loop.create_future()
            self._loop.add_writer(self._socket, _set_ready, writable)
            self._waiter = writable
            try:
                await writable
            finally:
                self._waiter = None
                self._loop.remove_writer(self._socket)

    # Reading --------------------------------------------------------------------------------------------

    async def _collect(self, steps: Sequence[_PipelineStep], expected: int) -> list[Rows]:
        answers: list[Rows] = []
        failure: DatabaseError | None = None
        at = 0
        while True:
            while self._pg.is_busy():
                await self._wait_readable()
            result = self._pg.get_result()
            if result is None:
                self._expect_alive(at, steps)
                at += 1
                continue
            status = result.status
            if status == _END:
                break
            if status in _ROWS:
                if at >= len(steps):
                    self._refuse_answers()
                if self.meter is not None and result.ntuples > 1:  # one row is part of what was received
                    self._weigh(result, self.meter)
                if steps[at] is _RUN:
                    answers.append(Rows(result, may_be_large=self._valve is not None or not self._guarded))
                else:
                    self._keep(steps[at], result, answers)
            elif status in _COPYING:
                self._close_broken()
                raise DatabaseError(DatabaseErrorFields("0A000", "COPY is not supported here"))
            elif failure is None and status != _ABORTED:
                failure = self._understand(steps[at : at + 1], _error_of(result, self._pg, len(answers)))
        if failure is not None:
            if isinstance(failure, PlanStale):
                self._forget_prepared()
            raise failure
        if len(answers) != expected:
            self._refuse_answers()
        return answers

    def _refuse_answers(self) -> NoReturn:
        """A server that says more than it was asked, or less, would have one statement's rows pass for another's."""
        self._close_broken()
        raise connection_lost("The database did not answer as PostgreSQL does.")

    def _expect_alive(self, at: int, steps: Sequence[_PipelineStep]) -> None:
        """A lost connection has no Sync to come: libpq would say "no result" for ever."""
        if self._pg.status != _OK or at > len(steps):
            raise psycopg.OperationalError(self._pg.get_error_message() or "the connection was lost")

    def _keep(self, step: _PipelineStep, result: pq.abc.PGresult, answers: list[Rows]) -> None:
        if step.kind == "run":
            answers.append(Rows(result, may_be_large=self._valve is not None or not self._guarded))
        elif step.kind == "prepare":
            self._prepared[step.sql] = step.name
            if len(self._prepared) > self._most_prepared:
                _, oldest = self._prepared.popitem(last=False)
                self._doomed.append(oldest)

    def _understand(self, failed: Sequence[_PipelineStep], failure: DatabaseError) -> DatabaseError:
        """A name that is taken, or gone, says that the server's session is not ours alone. No step: the end failed."""
        if any(step is _GUARD_STEP for step in failed) and failure.sqlstate == _DIVISION_BY_ZERO:
            self.is_tampered = True
            return DatabaseError(DatabaseErrorFields(_NOT_SUPPORTED, _TAMPERED))
        is_taken = any(step.kind == "prepare" for step in failed) and failure.sqlstate == _STATEMENT_EXISTS
        if is_taken or (failure.sqlstate == _NO_SUCH_STATEMENT and self.prepares):
            self.prepares = False
            self._prepared.clear()
            self._doomed.clear()
        return PlanStale(failure.fields, failure.at) if is_taken else failure

    def _forget_prepared(self) -> None:
        self._doomed.extend(self._prepared.values())
        self._prepared.clear()

    async def _wait_readable(self) -> None:
        self._require_whole()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _require_whole(self) -> None:
        if self._is_broken or self._pg.status != _OK:  # a closed socket never becomes readable
            raise psycopg.OperationalError(self._pg.get_error_message())

    def _on_readable(self) -> None:
        """Also runs when no caller waits: it receives notifications, and notices a server that went away."""
        if self._guarded:
            if self._valve is not None:
                self._read_piece()
                return
            if self._needs_valve():
                self._put_valve()
                return
        self._read()

    def _read(self) -> None:
        try:
            self._pg.consume_input()
        except psycopg.OperationalError:
            self._mark_broken()
        self._hear_notifications()
        if self._waiter is not None:
            _set_ready(self._waiter)

    def _hear_notifications(self) -> None:
        while (notification := self._pg.notifies()) is not None:
            if self.on_notify is not None:
                channel, payload = (
                    notification.relname.decode("utf-8", "replace"),
                    notification.extra.decode("utf-8", "replace"),
                )
                self.on_notify(Notification(channel, payload))

    # Bounds: most answers come at once and are small; of all others every byte is counted --------------------

    def _needs_valve(self) -> bool:
        """An idle connection may receive a little now and then: a setting was changed, another session notifies."""
        if self.meter is None and self._loop.time() > self._idle_since + _IDLE_SECONDS:
            self._idle_meter, self._idle_since = Meter(_IDLE_BYTES), self._loop.time()
            self._arrivals = 0
        self._arrivals += 1
        return self._arrivals > 1 or count_waiting(self._socket) > _AT_ONCE_BYTES

    def _put_valve(self) -> None:
        self._loop.remove_reader(self._socket)
        was_writing = self._loop.remove_writer(self._socket)
        self._valve = Valve(self._socket, self._count)
        self._loop.add_reader(self._socket, self._on_readable)
        if was_writing and self._waiter is not None:
            self._loop.add_writer(self._socket, _set_ready, self._waiter)

    def _remove_valve(self) -> None:
        """Between two runs, once all has been read; else it stays."""
        if self._valve is not None and not self._is_broken:
            self._loop.remove_reader(self._socket)
            if self._valve.remove():
                self._valve = None
            self._loop.add_reader(self._socket, self._on_readable)

    def _count(self, size: int) -> bool:
        self._received += size
        failure = (self.meter or self._idle_meter).count(size)
        if failure is None:
            return True
        self._drop(failure if self.meter is not None else flooded())
        return False

    def _weigh(self, result: pq.abc.PGresult, meter: Meter) -> None:
        failure = meter.weigh(result.ntuples, result.nfields)
        if failure is not None:
            self._drop(failure)
            raise psycopg.OperationalError("the answer is too large")

    def _read_piece(self) -> None:
        started = time.thread_time()
        self._read()
        if self._is_broken or not self._pg.is_busy():
            return
        spent = time.thread_time() - started
        self._reading_seconds += spent
        allowed = _READING_SECONDS + (self.meter or self._idle_meter).received / _BYTES_PER_SECOND
        if spent > _LONGEST_STEP_SECONDS or self._reading_seconds > allowed:
            self._drop(flooded())

    def _drop(self, failure: PgrestError) -> None:
        """Without a farewell: what still comes is not wanted."""
        self._failure = failure
        self._mark_broken()
        self._spawn(self._owner.close())
        if self._waiter is not None:
            _set_ready(self._waiter)

    # Ending ---------------------------------------------------------------------------------------------

    def _mark_broken(self) -> None:
        if not self._is_broken:
            self._is_broken = True
            self._ended.set()
            self._loop.remove_reader(self._socket)
            if self._valve is not None:
                self._valve.close()
                self._valve = None

    def _close_broken(self) -> None:
        """Closes what can be used no more, with the buffers of libpq: a pool does not see to broken ones."""
        if not self._is_broken:
            self._mark_broken()
            self._spawn(self._owner.close())

    def _abandon(self) -> None:
        """Answers are still on their way, so this connection may not be used again: cancels and closes it."""
        self._mark_broken()
        self._spawn(self._cancel_and_close())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _cancel_and_close(self) -> None:
        try:
            await self._owner.cancel_safe(timeout=_CANCEL_SECONDS)
        except psycopg.Error:
            pass  # the server ends the statement when it sees the connection closed
        finally:
            await self._owner.close()


def _set_ready(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _error_of(result: pq.abc.PGresult, pg: pq.abc.PGconn, at: int) -> DatabaseError:
    def text(field: pq.DiagnosticField) -> str | None:
        value = result.error_field(field)
        return None if value is None else value.decode("utf-8", "replace")

    part = pq.DiagnosticField
    fields = DatabaseErrorFields(
        sqlstate=text(part.SQLSTATE) or "08006",
        message=text(part.MESSAGE_PRIMARY) or pg.get_error_message(),
        detail=text(part.MESSAGE_DETAIL),
        hint=text(part.MESSAGE_HINT),
        schema=text(part.SCHEMA_NAME),
        table=text(part.TABLE_NAME),
        column=text(part.COLUMN_NAME),
        constraint=text(part.CONSTRAINT_NAME),
        place=text(part.SOURCE_FUNCTION),
    )
    kind = PlanStale if _is_stale(fields) else DatabaseError
    return kind(fields, at)


def _is_stale(fields: DatabaseErrorFields) -> bool:
    if fields.sqlstate == _INTERNAL:
        return fields.message.startswith(_GONE)
    return fields.place == _WHERE_PLANS_ARE_CHECKED or fields.sqlstate == _NO_SUCH_STATEMENT
