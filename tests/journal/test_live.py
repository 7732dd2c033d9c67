"""Streams of a connection's events: nothing missed, nothing repeated, nothing for those who may not read it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from basewarden.db import Database
from basewarden.journal.live import LiveFeeds, Subscriber, events, subscriber
from basewarden.journal.live.events import StreamMessage
from basewarden.journal.live.positions import JournalSnapshot, StreamPosition, parse_position
from basewarden.journal.live.subscriber import MAX_PENDING_BYTES
from basewarden.settings import Settings
from tests.fixtures.app import PASSWORD, Serve, serve_product
from tests.fixtures.bench import Bench, BenchAgent, OwnWorkshop, Workshop
from tests.fixtures.ports import open_listener
from tests.fixtures.serving import GRACE_SECONDS
from tests.fixtures.waiting import wait_until

_NOTES = "CREATE TABLE notes (id int PRIMARY KEY, body text)"
_SECONDS = 5


@dataclass
class Stream:
    """What a client reads: whole events, and the id that it would continue with."""

    response: httpx.Response
    last_id: str = ""
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    is_over: bool = False

    async def read(self) -> None:
        kind, data, event_id = "", "", ""
        async for line in self.response.aiter_lines():
            name, _, value = line.partition(": ")
            match name:
                case "id":
                    event_id = value
                case "event":
                    kind = value
                case "data":
                    data = value
                case "" if not line:
                    self.last_id = event_id or self.last_id
                    if kind:
                        self.events.append((kind, json.loads(data)))
                    kind = data = ""
        self.is_over = True

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]

    @property
    def writes(self) -> int:
        return sum(data["writes"] for kind, data in self.events if kind == "write")

    async def wait_for(self, count: int, kind: str = "write") -> list[dict[str, Any]]:
        """Until so many events of the kind have arrived, of writes so many writes."""
        await wait_until(
            lambda: self.writes if kind == "write" else self.kinds.count(kind),
            kind,
            matches=lambda seen: seen >= count,
            seconds=_SECONDS,
        )
        return [data for name, data in self.events if name == kind]

    async def wait_for_end(self) -> None:
        await wait_until(lambda: self.is_over, "the end of the stream", seconds=_SECONDS)


@asynccontextmanager
async def follow(person: httpx.AsyncClient, path: str, position: str = "") -> AsyncIterator[Stream]:
    headers = {"last-event-id": position} if position else {}
    async with person.stream("GET", path, headers=headers, timeout=None) as response:
        assert response.status_code == 200, await response.aread()
        stream = Stream(response)
        task = asyncio.create_task(stream.read())
        try:
            await wait_until(lambda: stream.last_id or stream.events, "the first bytes", seconds=_SECONDS)
            yield stream
        finally:
            task.cancel()


def events_path(bench: Bench, session: str = "") -> str:
    below = f"/sessions/{session}" if session else ""
    return f"/api/connections/{bench.connection_id}{below}/events"


async def write(agent: BenchAgent, number: int, name: str = "mine") -> str:
    answer = await agent.http.post("/notes", json={"id": number}, headers={"x-basewarden-session": name})
    assert answer.is_success, answer.text
    return str(answer.headers["x-basewarden-session"])


async def test_a_write_arrives_with_what_a_list_shows(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent(name="price-bot")
    async with follow(bench.person, events_path(bench)) as stream:
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.response.headers["cache-control"] == "no-store"
        assert "content-encoding" not in stream.response.headers
        session = await write(agent, 1)
        (event,) = await stream.wait_for(1)
        assert (event["sessionId"], event["caller"], event["label"]) == (session, "price-bot", "mine")
        assert (event["status"], event["writes"], event["rows"]) == ("active", 1, 1)
        assert event["changes"] == [{"schema": "public", "table": "notes", "verb": "insert", "rows": 1}]


async def test_events_hold_no_values_of_rows(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    async with follow(bench.person, events_path(bench)) as stream:
        await agent.write("POST", "/notes", {"id": 1, "body": "a private text"})
        await stream.wait_for(1)
        assert "private" not in json.dumps(stream.events)


async def test_a_cut_stream_continues_without_gap_or_repetition(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agents = [await bench.agent(name=f"bot {number}") for number in range(3)]
    position, writes, sessions = "", 0, set()
    path = events_path(bench)

    async def write_all() -> None:
        for number in range(60):
            await write(agents[number % 3], number, f"s{number % 3}")

    async with follow(bench.person, path) as stream:
        position = stream.last_id
    writing = asyncio.create_task(write_all())
    while writes < 60:
        async with follow(bench.person, path, position) as stream:
            await wait_until(lambda: stream.events, "an event", seconds=_SECONDS)
        assert "reload" not in stream.kinds
        writes += stream.writes
        sessions |= {data["sessionId"] for kind, data in stream.events if kind == "write"}
        position = stream.last_id
    await writing
    async with follow(bench.person, path, position) as stream:
        await write(agents[0], 1000, "s0")
        await stream.wait_for(1)
        assert stream.writes == 1
    assert (writes, len(sessions)) == (60, 3)


async def test_a_stream_continues_between_the_events_of_one_read(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    async with follow(bench.person, events_path(bench)) as stream:
        position = stream.last_id
    sessions = {await write(agent, number, f"s{number}") for number in range(3)}
    async with follow(bench.person, events_path(bench), position) as whole:
        await whole.wait_for(3)
        lines = [data["sessionId"] for _, data in whole.events]
    async with bench.person.stream(
        "GET", events_path(bench), headers={"last-event-id": position}, timeout=None
    ) as response:
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                first = line.removeprefix("id: ")
                break
    async with follow(bench.person, events_path(bench), first) as rest:
        await rest.wait_for(2)
        assert [data["sessionId"] for _, data in rest.events] == lines[1:]
    assert set(lines) == sessions


async def test_another_process_sends_what_this_one_wrote(own_workshop: OwnWorkshop, serve: Serve) -> None:
    workshop = await own_workshop.open({})
    other = await serve()
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    person = await other.client()
    person.cookies.update(bench.person.cookies)
    async with follow(person, events_path(bench)) as stream:
        session = await write(agent, 1)
        (event,) = await stream.wait_for(1)
        assert event["sessionId"] == session


async def test_the_stream_of_a_session_has_its_events_only(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    session = await write(agent, 1, "mine")
    async with follow(bench.person, events_path(bench, session)) as stream:
        other = await write(agent, 2, "other")
        reader = await bench.agent(name="reader", access="read")
        async with follow(bench.person, events_path(bench)) as everything:
            assert (await reader.http.post("/notes", json={"id": 9})).json()["code"] == "read_only"
            await everything.wait_for(1, "refused")
        await write(agent, 3, "mine")
        await stream.wait_for(2)
        assert "refused" not in stream.kinds
        assert other not in {data["sessionId"] for _, data in stream.events}


async def test_freezes_releases_and_refusals_arrive(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent(name="Robot", maxRowsPerWrite=1)
    session = await write(agent, 1)
    async with follow(bench.person, events_path(bench, session)) as stream:
        for what in ("freeze", "release"):
            path = f"/api/connections/{bench.connection_id}/sessions/{session}/{what}"
            assert (await bench.person.post(path)).status_code == 200
            await stream.wait_for(1 if what == "freeze" else 2, "state")
        frozen, released = [data for kind, data in stream.events if kind == "state"]
        assert (frozen["status"], frozen["frozenReason"], released["status"]) == ("frozen", "member", "active")
        answer = await agent.http.post("/notes", json=[{"id": 5}, {"id": 6}], headers={"x-basewarden-session": "mine"})
        assert answer.json()["code"] == "row_limit"
        (refused,) = await stream.wait_for(1, "refused")
        assert (refused["agent"], refused["code"], refused["sessionId"]) == ("Robot", "row_limit", session)


async def test_strangers_agents_and_unknown_sessions_get_no_stream(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    session = await write(agent, 1)
    stranger = await bench.product.sign_up("stream-stranger@example.com")
    elsewhere = await workshop.bench(_NOTES)
    for path in (events_path(bench), events_path(bench, session)):
        assert (await stranger.get(path)).status_code == 404
        assert (await (await bench.product.client()).get(path)).status_code == 401
        token = {"authorization": f"Bearer {agent.token}"}
        assert (await (await bench.product.client()).get(path, headers=token)).status_code == 401
    for path in (events_path(bench, "x"), events_path(elsewhere, session)):
        assert (await bench.person.get(path)).status_code == 404


async def test_a_stream_ends_with_the_sign_in(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    person = await bench.product.client()
    account = {"email": (await bench.person.get("/api/auth/session")).json()["user"]["email"]}
    assert (await person.post("/api/auth/signin", json={**account, "password": PASSWORD})).status_code == 200
    async with follow(person, events_path(bench)) as stream, follow(bench.person, events_path(bench)) as other:
        assert (await person.post("/api/auth/signout")).status_code == 204
        await stream.wait_for_end()
        assert not other.is_over


async def test_a_stream_that_opens_while_its_person_signs_out_ends_at_once(own_workshop: OwnWorkshop) -> None:
    """The end of the sign-in is announced before the stream can hear of it."""
    bench = await (await own_workshop.open({})).bench(_NOTES)
    database = bench.product.registry.get(Database)
    async with database.unit_of_work() as unit:
        await unit.execute(text("LOCK TABLE journal_writes IN ACCESS EXCLUSIVE MODE"))
        opening = asyncio.create_task(bench.person.get(events_path(bench)))
        await wait_until(lambda: _count_waiting(database), "the stream to read", seconds=_SECONDS)
        other = await bench.product.client()
        other.cookies.update(bench.person.cookies)
        assert (await other.post("/api/auth/signout")).status_code == 204
        await bench.product.settled()
    assert (await asyncio.wait_for(opening, _SECONDS)).status_code == 401


async def _count_waiting(database: Database) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with database.read_only() as session:
        return int(await session.scalar(text(query)) or 0)


async def test_a_stream_ends_with_the_membership_before_another_event(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open({})
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    async with follow(bench.person, events_path(bench)) as stream:
        async with bench.product.registry.get(Database).unit_of_work() as unit:
            await unit.execute(text("DELETE FROM connection_members"))
        await write(agent, 1)
        await stream.wait_for_end()
        assert stream.events == []


async def test_a_stream_ends_with_its_connection(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    async with follow(bench.person, events_path(bench)) as stream:
        assert (await bench.person.delete(f"/api/connections/{bench.connection_id}")).is_success
        await stream.wait_for_end()


@pytest.mark.parametrize(
    "position",
    [
        "x", "0", "1-2-3", "'; DROP TABLE users; --", "9" * 9000, f"1-{2**63}", "1-5.7", f"1-{2**62}",
        "1-1", "99999999999-1", f"1-5~1-{2**62}~w{'0' * 36}", "1-5~1-6~zzz", "\u00e9",
    ],
)  # fmt: skip
async def test_a_position_that_is_none_asks_for_a_reload(workshop: Workshop, position: str) -> None:
    bench = await workshop.bench(_NOTES)
    async with follow(bench.person, events_path(bench) + f"?after={quote(position)}") as stream:
        await stream.wait_for(1, "reload")
        assert stream.kinds == ["reload"]


def test_a_slow_reader_is_cut_off_and_holds_little_memory() -> None:
    reader = Subscriber(UUID(int=1), UUID(int=1), "", None)
    for _ in range(MAX_PENDING_BYTES // 1000 + 1):
        assert not reader.is_ended
        reader.push([StreamMessage(None, b"x" * 1000)], "p")
    assert reader.is_ended
    assert reader.take() == b""


async def test_a_stream_that_missed_more_than_may_be_queued_is_asked_to_reload(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end at once, and each time that it continues from the same position."""
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    async with follow(bench.person, events_path(bench)) as stream:
        position = stream.last_id
    for number in range(4):
        await write(agent, number, f"s{number}")
    monkeypatch.setattr(events, "MAX_READ_BYTES", 1000)
    monkeypatch.setattr(subscriber, "MAX_PENDING_BYTES", 2000)
    async with follow(bench.person, events_path(bench), position) as stream:
        await stream.wait_for(1, "reload")
        await write(agent, 9, "s9")
        await stream.wait_for(1)
        assert stream.kinds == ["reload", "write"]


async def test_streams_are_limited_for_each_person(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open({"max_streams_per_person": 1})
    bench = await workshop.bench(_NOTES)
    async with follow(bench.person, events_path(bench)):
        answer = await bench.person.get(events_path(bench))
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_streams")
        assert answer.headers["retry-after"] == "30"
    await wait_until(lambda: bench.product.registry.get(LiveFeeds).stream_count == 0, "the stream's place")
    async with follow(bench.person, events_path(bench)) as stream:
        assert stream.kinds == []


def test_positions_are_read_as_they_are_written() -> None:
    since = JournalSnapshot.from_postgres(100, "5:9:5,7")
    assert (since.floor, since.encode()) == (5, "100-9.4.2")
    position = StreamPosition(since, JournalSnapshot(101, 12), f"w{'0' * 8}-{'0' * 4}-{'0' * 4}-{'0' * 4}-{'0' * 12}")
    assert parse_position(position.encode()) == position
    many = JournalSnapshot.from_postgres(100, f"5:900:{','.join(map(str, range(5, 700)))}")
    assert (many.xmax, many.running) == (5, ())


async def test_streams_end_when_the_server_stops(own_workshop: OwnWorkshop, settings: Settings) -> None:
    bench = await (await own_workshop.open({})).bench(_NOTES)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        async with serve_product(settings, open_listener()) as stopping:
            address = f"http://127.0.0.1:{stopping.port}"
            client = httpx.AsyncClient(base_url=address, cookies=bench.person.cookies, trust_env=False)
            person = await stack.enter_async_context(client)
            stream = await stack.enter_async_context(follow(person, events_path(bench)))
            began = loop.time()
        assert loop.time() - began < GRACE_SECONDS
        await stream.wait_for_end()
