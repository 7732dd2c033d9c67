"""What can be refused without the body is refused before it is read, and the connection stays good."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from basewarden.gateway.bodies import HeldBodies
from basewarden.gateway.errors import BodiesHeld
from tests.fixtures.bench import Bench, BenchAgent, Workshop, on_both_backends

_LARGE = 16 * 1024 * 1024
_SHOP = """
    CREATE TABLE items (id int PRIMARY KEY, note text);
    CREATE TABLE secrets (id int PRIMARY KEY, pin text);
    CREATE VIEW notes AS SELECT note FROM items;
    CREATE FUNCTION wipe() RETURNS void LANGUAGE sql AS 'DELETE FROM items';
    CREATE FUNCTION count_items(k int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM items';
    INSERT INTO items VALUES (1, 'x');
"""


class RawConnection:
    """One connection, spoken to by hand: httpx sends a whole body before it looks for an answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, agent: BenchAgent) -> None:
        self._reader = reader
        self._writer = writer
        self._agent = agent

    def begin(self, method: str, path: str, length: int, **headers: str) -> None:
        given = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        lines = [
            f"{method} /api/v/{self._agent.bench.connection_id}/rest/v1{path} HTTP/1.1",
            "host: x",
            f"authorization: Bearer {self._agent.token}",
            f"content-length: {length}",
            *(f"{name}: {value}" for name, value in given.items()),
        ]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> tuple[int, Any]:
        async with asyncio.timeout(20):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
            body = await self._reader.readexactly(length)
        return int(head.split(" ")[1]), json.loads(body) if body else None


@asynccontextmanager
async def call_by_hand(agent: BenchAgent) -> AsyncIterator[RawConnection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", agent.bench.product.port)
    try:
        yield RawConnection(reader, writer, agent)
    finally:
        writer.close()
        await writer.wait_closed()


async def _bench(workshop: Workshop) -> Bench:
    return await workshop.bench(_SHOP)


@on_both_backends
@pytest.mark.parametrize(
    ("method", "path", "headers", "code"),
    [
        ("POST", "/items", {}, "read_only"),
        ("PATCH", "/items?id=eq.1", {}, "read_only"),
        ("POST", "/secrets", {}, "read_only"),
        ("POST", "/rpc/wipe", {}, "read_only"),
        ("POST", "/rpc/nope", {}, "table_denied"),
        ("PATCH", "/rpc/wipe", {}, "PGRST101"),
        ("POST", "/items", {"content_type": "image/png"}, "PGRST102"),
    ],
)
async def test_a_reading_agent_is_refused_before_its_body_is_sent(
    workshop: Workshop, method: str, path: str, headers: dict[str, str], code: str
) -> None:
    agent = await (await _bench(workshop)).agent(access="read", tables=["items", "rpc/wipe"])
    await _assert_refused_early(agent, method, path, headers, code)


@on_both_backends
@pytest.mark.parametrize(
    ("method", "path", "headers", "code"),
    [
        ("POST", "/secrets", {}, "table_denied"),
        ("POST", "/items?select=*,secrets(*)", {}, "table_denied"),
        ("PATCH", "/items", {}, "filter_required"),
        ("POST", "/items?select=(", {}, "PGRST100"),
        ("POST", "/items", {"content_profile": "nope"}, "PGRST106"),
    ],
)
async def test_a_limited_agent_is_refused_before_its_body_is_sent(
    workshop: Workshop, method: str, path: str, headers: dict[str, str], code: str
) -> None:
    agent = await (await _bench(workshop)).agent(tables=["items", "notes"])
    await _assert_refused_early(agent, method, path, headers, code)


async def test_a_write_to_a_view_is_refused_before_its_body_is_sent(workshop: Workshop) -> None:
    agent = await (await _bench(workshop)).agent()
    await _assert_refused_early(agent, "POST", "/notes", {}, "capture_unsupported")


async def _assert_refused_early(agent: BenchAgent, method: str, path: str, headers: dict[str, str], code: str) -> None:
    async with call_by_hand(agent) as line:
        line.begin(method, path, _LARGE, **headers)
        status, body = await line.answer()  # nothing of the body has been sent yet
        assert (400 <= status < 500, body["code"]) == (True, code)
        for _ in range(16):
            await line.send(b" " * (_LARGE // 16))
        line.begin("GET", "/items?select=id", 0)
        assert await line.answer() == (200, [{"id": 1}])
    assert await agent.bench.sessions() == []


@on_both_backends
async def test_a_small_and_a_large_body_are_refused_alike(workshop: Workshop) -> None:
    agent = await (await _bench(workshop)).agent(tables=["items"])
    for size in (0, 200_000):
        for path, code in (("/secrets", "table_denied"), ("/items?id=eq.1", "PGRST102")):
            answer = await agent.http.request("PATCH", path, content=b"[" + b" " * size + b"{")
            assert answer.json()["code"] == code


@on_both_backends
async def test_large_bodies_are_written_as_small_ones_are(workshop: Workshop) -> None:
    bench = await _bench(workshop)
    agent = await bench.agent(tables=["items"])
    rows = [{"id": n, "note": "n" * 200} for n in range(2, 600)]
    written = await agent.write("POST", "/items?select=id", rows)
    assert (len(written.answer.json()), len(written.changes)) == (598, 598)
    text = "id,note\n" + "".join(f"{n},{'c' * 200}\n" for n in range(600, 1000))
    written = await agent.write("POST", "/items?select=id", text, headers={"content-type": "text/csv"})
    assert len(written.changes) == 400
    assert await bench.rows("SELECT count(*) AS n FROM items") == [{"n": 999}]


@on_both_backends
async def test_other_requests_are_answered_while_a_large_body_is_read(workshop: Workshop) -> None:
    """It holds two million rows of one small column, which take seconds to look at."""
    bench = await _bench(workshop)
    agent, other = await bench.agent(), await bench.agent()
    body = b"[" + b'{"x":1},' * 2_000_000 + b'{"y":1}]'
    large = asyncio.create_task(agent.http.post("/items", content=body, headers={"content-type": "application/json"}))
    answered = 0
    while not large.done():
        assert (await other.http.get("/items?select=id")).status_code == 200
        answered += 1
    assert (await large).json() == {
        "code": "PGRST102",
        "message": "All object keys must match",
        "details": None,
        "hint": None,
    }
    assert answered > 5


def test_bodies_have_room_for_one_caller_and_for_all() -> None:
    held = HeldBodies(most=100, most_of_one=60)
    ann, bob, cid = (UUID(int=n) for n in range(3))
    with held.hold(ann) as one, held.hold(bob) as two, held.hold(cid) as three:
        one.add(60)
        with pytest.raises(BodiesHeld) as caught:
            one.add(1)
        assert caught.value.headers == {"Retry-After": "1"}
        two.add(40)
        with pytest.raises(BodiesHeld):
            three.add(1)
    with held.hold(cid) as again:
        again.add(60)
