"""The protocol alone, around an application of a few lines: answers that are not read, and clients that disconnect."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from basewarden.serve import make_config
from basewarden.web.budgets import RequestBudgets
from basewarden.web.guard import ConnectionGuard, GuardedConnection, find_network, is_in
from basewarden.web.protocol import GuardedProtocol
from basewarden.web.whole_responses import find_whole, join_checked
from tests.fixtures.app import make_settings
from tests.fixtures.ports import open_listener
from tests.fixtures.serving import serving
from tests.web.raw import connected, read_answer, read_to_end

LARGE = 50_000_000
GET = b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n"


class NoticingGuard(ConnectionGuard):
    """Tells when a connection has ended."""

    def __init__(self, budgets: RequestBudgets) -> None:
        super().__init__(budgets)
        self.ended = asyncio.Event()

    def release(self, connection: GuardedConnection) -> None:
        super().release(connection)
        self.ended.set()


@asynccontextmanager
async def served(app: Any, **budgets: Any) -> AsyncIterator[tuple[int, NoticingGuard]]:
    guard, listener = NoticingGuard(RequestBudgets(**budgets)), open_listener()
    async with serving(app, listener, http=partial(GuardedProtocol, guard=guard)):
        yield listener.getsockname()[1], guard


async def answer_much(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % LARGE)]})
    await send({"type": "http.response.body", "body": b"a" * LARGE})


async def test_an_unread_answer_is_given_up() -> None:
    """Also one that is finished on this side: its connection would wait for a reader for ever."""
    for line in (b"", b"Connection: close\r\n"):
        async with served(answer_much, send_idle_seconds=1.0) as (port, guard), connected(port) as (reader, writer):
            writer.write(GET % line)  # a stream takes in little before it is read
            async with asyncio.timeout(30):
                await guard.ended.wait()
            assert len(await read_to_end(reader)) < LARGE


async def answer_shortly(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def test_a_request_for_another_protocol_is_the_last_of_its_connection() -> None:
    """What follows would be swallowed; a proxy that shares the connection among clients has to know."""
    async with served(answer_shortly) as (port, _), connected(port) as (reader, writer):
        writer.write(GET % b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
        answer = await read_answer(reader)
        assert (answer.status, answer.headers.get("connection")) == (200, "close")
        assert await read_to_end(reader) == b""


async def test_a_large_head_is_refused_before_all_of_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []

    def note(self: GuardedProtocol, name: bytes, value: bytes) -> None:
        parsed.append(name)
        HttpToolsProtocol.on_header(self, name, value)

    monkeypatch.setattr(GuardedProtocol, "on_header", note)
    head = GET % (b"a: b\r\n" * 40_000)
    async with served(answer_shortly) as (port, _), connected(port) as (reader, writer):
        writer.write(head)
        async with asyncio.timeout(30):
            assert (await reader.readline()).startswith(b"HTTP/1.1 431")
    assert 0 < len(parsed) < 2_000


async def test_requests_and_a_body_may_come_in_one_chunk() -> None:
    """Whatever is cut into pieces is put together again."""
    sizes: list[int] = []

    async def measure(scope: Any, receive: Any, send: Any) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        sizes.append(size)
        await answer_shortly(scope, receive, send)

    post = b"POST / HTTP/1.1\r\nHost: x\r\nX-Long: %b\r\nContent-Length: 20000\r\n\r\n" % (b"a" * 6000) + b"b" * 20_000
    async with served(measure) as (port, _), connected(port) as (reader, writer):
        writer.write(GET % b"" * 20 + post + GET % b"")
        async with asyncio.timeout(30):
            for _ in range(22):
                assert (await read_answer(reader)).status == 200
    assert sizes == [0] * 20 + [20_000, 0]


async def test_a_slow_reader_gets_all_of_it() -> None:
    async with served(answer_much, send_idle_seconds=1.0) as (port, _):
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            slow.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(slow, ("127.0.0.1", port))
            await loop.sock_sendall(slow, GET % b"Connection: close\r\n")
            read = 0
            while part := await loop.sock_recv(slow, 4_000_000):
                read += len(part)
                if read < LARGE // 10:
                    await asyncio.sleep(0.05)  # some seconds in all, never as many at once
            assert read > LARGE


async def test_a_body_waits_while_this_side_does_not_read() -> None:
    """The client cannot send on: it is not the one that is late."""
    release = asyncio.Event()
    bodies: list[int] = []

    async def read_late(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        bodies.append(size)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    budgets = {"body_idle_seconds": 1.0, "body_seconds": 2.0}
    async with served(read_late, **budgets) as (port, guard), connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n" + b"a" * 8_000_000)
        await asyncio.sleep(4)  # the time that must pass is what this is about
        assert not guard.ended.is_set()
        release.set()
        async with asyncio.timeout(30):
            assert (await reader.readline()).startswith(b"HTTP/1.1 204")
        assert bodies == [8_000_000]


async def test_counts_go_back_to_nothing() -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with served(answer, connections_per_address=2) as (port, guard):
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        for _, writer in streams:
            writer.close()
        async with asyncio.timeout(30):
            while guard._open or guard._counts:
                guard.ended.clear()
                await guard.ended.wait()


def test_an_ipv6_network_counts_as_one() -> None:
    assert find_network("2001:db8:1:2::7") == find_network("2001:db8:1:2:ffff::1%eth0") == "2001:db8:1:2::/64"
    assert find_network("::ffff:192.0.2.1") == find_network("192.0.2.1")
    assert find_network("unknown") == "unknown"
    assert not is_in("unknown", ())


def test_an_idle_connection_outlives_those_of_clients_and_proxies() -> None:
    """Load balancers keep one for 60 s."""
    assert make_config(None, make_settings("postgresql://nobody@127.0.0.1:1/nothing")).timeout_keep_alive > 60


# Responses that go out whole ------------------------------------------------------------------------------------

_HEAD = join_checked([(b"content-type", b"text/plain"), (b"x-kept", b"yes")])


class WholeAnswers:
    """Answers each request with its own path, sent whole where the protocol can; `results` say where it could."""

    def __init__(self) -> None:
        self.results: list[bool] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        await self.may_answer.wait()
        body, send_whole = scope["path"].encode(), find_whole(scope)
        assert send_whole is not None
        lines = _HEAD.lines + b"content-length: %d\r\n" % len(body)
        self.results.append(send_whole(scope, 200, lines, body))
        if not self.results[-1]:
            headers = [*_HEAD.pairs, (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})


async def test_a_whole_response_is_the_same_as_one_in_two_messages() -> None:
    app = WholeAnswers()
    async with served(app) as (port, _), connected(port) as (reader, writer):
        for number in range(3):
            writer.write(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
            answer = await read_answer(reader)
            assert (answer.status, answer.body) == (200, b"/%d" % number)
            assert answer.headers.keys() == {"date", "server", "content-type", "x-kept", "content-length"}
        writer.write(b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await read_answer(reader)
        assert (answer.headers["connection"], answer.body) == ("close", b"/last")
        assert await read_to_end(reader) == b""
    assert app.results == [True] * 4


async def test_requests_sent_ahead_are_answered_in_order_whole_or_not() -> None:
    app = WholeAnswers()
    app.may_answer.clear()
    async with served(app) as (port, _), connected(port) as (reader, writer):
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(5)))
        await asyncio.sleep(0.1)
        app.may_answer.set()
        for number in range(5):
            assert (await read_answer(reader)).body == b"/%d" % number
    assert app.results == [False] * 4 + [True]


async def test_nothing_is_sent_whole_after_an_answer_or_to_a_client_that_has_gone() -> None:
    results: list[bool] = []
    ended = asyncio.Event()

    async def answer_twice(scope: Any, receive: Any, send: Any) -> None:
        send_whole = find_whole(scope)
        assert send_whole is not None
        if scope["path"] == "/gone":
            while (await receive())["type"] != "http.disconnect":
                pass
        results.extend(send_whole(scope, 200, b"content-length: 2\r\n", b"ok") for _ in range(2))
        ended.set()

    async with served(answer_twice) as (port, _):
        async with connected(port) as (reader, writer):
            writer.write(GET % b"Connection: close\r\n")
            assert (await read_answer(reader)).body == b"ok"
            assert await read_to_end(reader) == b""
        assert results == [True, False]
        ended.clear()
        async with connected(port) as (_, writer):
            writer.write(b"GET /gone HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0.1)
        async with asyncio.timeout(30):
            await ended.wait()
    assert results == [True, False, False, False]
