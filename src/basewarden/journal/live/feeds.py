"""Reads the events of a connection once for all of its streams in this process, when a notice says that there are some.

Nothing runs for a connection without streams, and an idle stream holds no database connection.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.accounts import PERSON_TOPIC, SIGNIN_TOPIC
from basewarden.connections import CONNECTION_TOPIC, list_openable
from basewarden.db import Database, Listener
from basewarden.errors import AppError, TooMany, Unavailable
from basewarden.journal.live import queries
from basewarden.journal.live.events import (
    EventReader,
    LiveEvent,
    StreamMessage,
    TooMuchChanged,
    make_messages,
    make_reload,
    read_events,
    read_latest_writes,
)
from basewarden.journal.live.positions import JournalSnapshot, parse_position
from basewarden.journal.live.subscriber import Subscriber
from basewarden.journal.notices import LIVE_TOPIC, parse_notice

MIN_INTERVAL_SECONDS = 0.4
"""Between two reads for one connection. The first notice after a pause is followed at once."""
POLL_SECONDS = 60.0
"""Without a notice, memberships are checked and the journal is read this often: a notice may be lost."""
_RETRY_SECONDS = 2.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How many streams may be open in one process."""

    total: int = 2000
    per_person: int = 30


class TooManyStreams(TooMany):
    code = "too_many_streams"
    message = "Too many event streams are open for this account. Close some of them."


class LiveFeeds:
    """All streams of one process."""

    def __init__(self, database: Database, listener: Listener, limits: StreamLimits) -> None:
        self._database = database
        self._limits = limits
        self._feeds: dict[UUID, _Feed] = {}
        self._counts: Counter[UUID] = Counter()
        self._readers: list[EventReader] = []
        listener.on(LIVE_TOPIC, self._on_notice)
        listener.on(CONNECTION_TOPIC, self._on_notice)
        listener.on(SIGNIN_TOPIC, self._on_signin_ended)
        listener.on(PERSON_TOPIC, self._on_person_changed)

    def add_reader(self, read: EventReader) -> None:
        """Adds the events of another feature, before the first stream is opened."""
        self._readers.append(read)

    @property
    def stream_count(self) -> int:
        return self._counts.total()

    def admit(self, person_id: UUID) -> None:
        """Raises TooManyStreams or Unavailable; otherwise `leave` must follow."""
        if self.stream_count >= self._limits.total:
            raise Unavailable("Too many event streams are open. Try again later.", headers={"Retry-After": "30"})
        if self._counts[person_id] >= self._limits.per_person:
            raise TooManyStreams(headers={"Retry-After": "30"})
        self._counts[person_id] += 1

    def leave(self, subscriber: Subscriber) -> None:
        self._counts[subscriber.person_id] -= 1
        if not self._counts[subscriber.person_id]:
            del self._counts[subscriber.person_id]
        feed = self._feeds.get(subscriber.connection_id)
        if feed is not None and feed.remove(subscriber):
            del self._feeds[subscriber.connection_id]

    async def join(self, subscriber: Subscriber, position: str | None) -> None:
        """Queues what happened since the position, and everything from now on. Raises AppError."""
        feed = self._feeds.get(subscriber.connection_id)
        if feed is None:
            feed = self._feeds[subscriber.connection_id] = _Feed(
                self._database, subscriber.connection_id, self._readers
            )
        await feed.join(subscriber, position)

    def _on_notice(self, payload: str) -> None:
        known = map(self._feeds.get, parse_notice(payload)) if payload else self._feeds.values()
        for feed in known:
            if feed is not None:
                feed.notify()

    def _on_signin_ended(self, payload: str) -> None:
        self._doubt(lambda one: payload in ("", one.signin))

    def _on_person_changed(self, payload: str) -> None:
        """The connection may require a second factor that the person has just turned off."""
        self._doubt(lambda one: payload in ("", str(one.person_id)))
        for feed in self._feeds.values():
            if any(payload in ("", str(one.person_id)) for one in feed.subscribers):
                feed.notify()

    def _doubt(self, concerns: Callable[[Subscriber], bool]) -> None:
        for feed in self._feeds.values():
            for subscriber in filter(concerns, feed.subscribers):
                subscriber.doubt()


class _Feed:
    """Everything visible in its snapshot has been passed on to its subscribers."""

    def __init__(self, database: Database, connection_id: UUID, readers: Sequence[EventReader]) -> None:
        self._database = database
        self._connection_id = connection_id
        self._readers = readers
        self._snapshot: JournalSnapshot | None = None
        self._lock = asyncio.Lock()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._joining = 0
        self.subscribers: set[Subscriber] = set()

    def notify(self) -> None:
        self._woken.set()

    def remove(self, subscriber: Subscriber) -> bool:
        """Returns whether it was the last one."""
        self.subscribers.discard(subscriber)
        if self.subscribers or self._joining:
            return False
        if self._task is not None:
            self._task.cancel()
        return True

    async def join(self, subscriber: Subscriber, position: str | None) -> None:
        self._joining += 1
        try:
            async with self._lock:
                await self._start(subscriber, position)
                self.subscribers.add(subscriber)
        finally:
            self._joining -= 1
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="live-feed")

    async def _start(self, subscriber: Subscriber, position: str | None) -> None:
        """Moves the feed to the present, then the new stream to the feed."""
        async with self._database.snapshot() as session:
            until = await queries.get_snapshot(session)
            await self._pass_on(session, until)
            messages = await self._catch_up(session, position, until)
        subscriber.push(messages, until.encode())

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(POLL_SECONDS * random.uniform(0.75, 1.0)):  # noqa: S311 - spreads the load
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            await self._try_advance()
            await asyncio.sleep(MIN_INTERVAL_SECONDS)

    async def _try_advance(self) -> None:
        try:
            async with self._lock, self._database.snapshot() as session:
                await self._pass_on(session, await queries.get_snapshot(session))
        except (AppError, SQLAlchemyError, OSError) as error:
            _log.warning("live.not_read", reason=type(error).__name__)
            self._woken.set()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _pass_on(self, session: AsyncSession, until: JournalSnapshot) -> None:
        """Sends the subscribers what became visible, and ends those of people who may no longer open it."""
        since = self._snapshot
        if self.subscribers and since is not None and not until.shows_the_same(since):
            people = {one.person_id for one in self.subscribers}
            members = await list_openable(session, self._connection_id, people)
            messages = await self._read(session, since, until)
            for subscriber in list(self.subscribers):
                if subscriber.person_id in members:
                    subscriber.push(messages, until.encode())
                else:
                    subscriber.end()
        self._snapshot = until

    async def _catch_up(
        self, session: AsyncSession, position: str | None, until: JournalSnapshot
    ) -> list[StreamMessage]:
        if position is None:
            latest = await read_latest_writes(session, self._connection_id, until)
            return _make_messages(latest, None, until)
        known = parse_position(position)
        if known is None:
            return [make_reload(until)]
        if known.until is None:
            return await self._read(session, known.since, until)
        rest = await self._read(session, known.since, known.until, after=known.key)
        return [*rest, *await self._read(session, known.until, until)]

    async def _read(
        self, session: AsyncSession, since: JournalSnapshot, until: JournalSnapshot, *, after: str = ""
    ) -> list[StreamMessage]:
        try:
            events = await read_events(session, self._connection_id, since, until, self._readers)
        except TooMuchChanged:
            return [make_reload(until)]
        return _make_messages([event for event in events if event.key > after], since, until)


def _make_messages(
    events: Sequence[LiveEvent], since: JournalSnapshot | None, until: JournalSnapshot
) -> list[StreamMessage]:
    try:
        return make_messages(events, since, until)
    except TooMuchChanged:
        return [make_reload(until)]
