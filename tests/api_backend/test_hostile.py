"""A project's API that is slow, broken, lying, away or another project's: what our caller gets, and what is not done."""

import asyncio
import gzip
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from basewarden.connections.rest.client import RestClient
from basewarden.connections.rest.keys import parse_key
from basewarden.connections.rest.urls import RestAddress
from basewarden.core.secret import Secret
from basewarden.gateway.api.headers import pass_headers
from basewarden.gateway.api.streaming import DisconnectWatch, UpstreamStream
from basewarden.gateway.response_headers import Audience
from tests.fakes.hostile import Behave, HostileExchange, HostileServer, always, be_good, make_answer, serve_hostile
from tests.fixtures.bench import Bench, Workshop
from tests.fixtures.ports import open_listener
from tests.fixtures.serving import serving

KEY = "sb_secret_0123456789abcdef0123"
_HTML = b"<html>not here</html>"


@pytest.fixture
async def hostile() -> AsyncIterator[HostileServer]:
    """Good enough to be connected to; then a test makes it what it is."""
    async with serve_hostile() as hostile:
        yield hostile


@pytest.fixture
async def bench(workshop: Workshop, hostile: HostileServer) -> Bench:
    return await workshop.connect({"url": hostile.url, "key": KEY})


ANSWERS: list[tuple[str, bytes, int, str]] = [
    ("an unknown key", make_answer(401, {"message": "Invalid API key"}), 502, "upstream_refused"),
    ("an empty 401", make_answer(401, b"", "text/plain"), 502, "upstream_refused"),
    ("an expired JWT", make_answer(401, {"code": "PGRST303", "message": "JWT expired"}), 502, "upstream_refused"),
    ("a gateway's 403", make_answer(403, b"RBAC: access denied", "text/plain"), 502, "upstream_refused"),
    ("no right", make_answer(401, {"code": "42501", "message": "permission denied"}), 403, "42501"),
    ("no right, signed in", make_answer(403, {"code": "42501", "message": "permission denied"}), 403, "42501"),
    ("no such table", make_answer(404, {"code": "PGRST205", "message": "Could not find"}), 404, "PGRST205"),
    ("no free connection", make_answer(504, {"code": "PGRST003", "message": "Timed out"}), 504, "PGRST003"),
    ("no such route", make_answer(404, {"message": "no Route matched"}), 502, "upstream_invalid"),
    ("a page", make_answer(404, _HTML, "text/html"), 502, "upstream_invalid"),
    ("a paused project", make_answer(540, _HTML, "text/html"), 503, "upstream_unavailable"),
    ("a project that is away", make_answer(521, _HTML, "text/html"), 503, "upstream_unavailable"),
    ("a gateway's time-out", make_answer(504, _HTML, "text/html"), 504, "upstream_timeout"),
    ("a hosted gateway's time-out", make_answer(544, _HTML, "text/html"), 504, "upstream_timeout"),
    ("too many", make_answer(429, {"message": "slow down"}, retry_after="7"), 429, "upstream_limited"),
    ("a redirect", make_answer(302, b"", location="http://127.0.0.1:1/"), 502, "upstream_invalid"),
    ("garbage", b"\x00\x01\x02 what\r\n\r\n", 502, "upstream_invalid"),
    ("nothing", b"", 503, "upstream_unavailable"),
    ("half a head", b"HTTP/1.1 200 OK\r\ncontent-le", 502, "upstream_invalid"),
    ("half a body", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", 502, "upstream_invalid"),
    ("an error that lies", b"HTTP/1.1 400 X\r\ncontent-length: 99\r\n\r\n{}", 502, "upstream_invalid"),
    ("a compressed error", make_answer(400, gzip.compress(b'{"code":"22P02","message":"bad"}'), content_encoding="gzip"), 400, "22P02"),
    ("a bomb", make_answer(400, gzip.compress(b"[" * 50_000_000), content_encoding="gzip"), 502, "upstream_invalid"),
    ("an endless error", make_answer(400, b" " * 2_000_000), 502, "upstream_invalid"),
]  # fmt: skip


async def test_each_answer_has_its_own_error(bench: Bench, hostile: HostileServer) -> None:
    agent = await bench.agent(access="read")
    for name, data, status, code in ANSWERS:
        hostile.behave = always(data, closes=True)
        answer = await agent.http.get("/notes")
        assert (answer.status_code, answer.json()["code"]) == (status, code), (name, answer.text)
        assert set(answer.json()) == {"code", "message", "details", "hint"}
        assert answer.headers["content-type"].startswith("application/json")
        assert KEY not in answer.text
        if status == 429:
            assert answer.headers["retry-after"] == "7"
    hostile.behave = be_good
    assert (await agent.http.get("/notes")).json() == [{"id": 1}]


async def test_a_refused_head_request_is_classified_by_its_headers(bench: Bench, hostile: HostileServer) -> None:
    agent = await bench.agent(access="read")
    for lines, status in (
        ("401 X\r\nproxy-status: PostgREST; error=42501", 403),
        ("401 X\r\nwww-authenticate: Bearer", 403),
        ("401 X\r\nproxy-status: PostgREST; error=PGRST301", 502),
        ("401 X", 502),
        ("404 X\r\nproxy-status: PostgREST; error=PGRST205", 404),
    ):
        hostile.behave = always(f"HTTP/1.1 {lines}\r\ncontent-length: 20\r\n\r\n".encode(), closes=True)
        assert (await agent.http.head("/notes")).status_code == status, lines


async def test_health_says_why_the_key_is_refused(bench: Bench, hostile: HostileServer) -> None:
    hostile.behave = always(make_answer(401, {"message": "Invalid API key"}))
    health = (await bench.person.get(f"/api/connections/{bench.connection_id}/health")).json()
    assert (health["ok"], health["backend"], health["reason"]) == (False, "forward", "wrong_key")
    page = (await bench.person.get(f"/c/{bench.connection_id}?check=1")).text
    assert "The project refused this key." in page
    data = await bench.person.get(f"/c/{bench.connection_id}/data")
    assert KEY not in page + data.text


async def test_a_body_that_breaks_off_breaks_off_here(bench: Bench, hostile: HostileServer) -> None:
    agent = await bench.agent(access="read")
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"

    def break_off_after(start: bytes) -> Behave:
        async def break_off(turn: HostileExchange) -> None:
            await turn.send(start)
            await asyncio.sleep(0.05)  # so that the answer has begun
            turn.writer.close()

        return break_off

    for framing in (b"content-length: 1000\r\n\r\n[{", b"transfer-encoding: chunked\r\n\r\n2\r\n[{\r\n"):
        hostile.behave = break_off_after(head + framing)
        with pytest.raises(httpx.RemoteProtocolError):
            await agent.http.get("/notes")


async def test_what_is_asked_ends_when_the_asker_goes(bench: Bench, hostile: HostileServer) -> None:
    agent = await bench.agent(access="read")
    ended = asyncio.Event()

    def wait_after(start: bytes) -> Behave:
        async def wait(turn: HostileExchange) -> None:
            await turn.send(start)
            await turn.gone()
            ended.set()

        return wait

    for start in (b"", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[1\r\n"):
        hostile.behave = wait_after(start)
        ended.clear()
        with pytest.raises(httpx.ReadTimeout):
            await agent.http.get("/notes", timeout=0.3)
        async with asyncio.timeout(3):
            await ended.wait()


async def test_a_redirect_leads_nowhere(bench: Bench, hostile: HostileServer) -> None:
    agent = await bench.agent(access="read")
    async with serve_hostile() as inside:
        for status in (301, 302, 303, 307, 308):
            hostile.behave = always(make_answer(status, b"", location=f"{inside.url}/rest/v1/notes"))
            answer = await agent.http.get("/notes")
            assert (answer.status_code, answer.json()["code"]) == (502, "upstream_invalid")
            assert "location" not in answer.headers
        assert inside.connections == 0


async def test_memory_stays_flat_while_a_slow_client_is_sent_much(hostile: HostileServer) -> None:
    """200 MB: what is on its way at any time is what sockets hold, and some hundred kilobytes of ours.

    By the road's own relay behind a server of its own: what the product says is kept for the search for leaks.
    """
    total, part, sent = 200_000_000, b"x" * 200_000, 0
    address = RestAddress("http", "127.0.0.1", hostile.port)
    client = RestClient(address, parse_key(Secret(KEY)), allow_private=True)

    async def pour(turn: HostileExchange) -> None:
        nonlocal sent
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-length: %d\r\n\r\n" % total)
        while sent < total:
            await turn.send(part)
            sent += len(part)

    async def stream_to(_scope: Any, receive: Any, send: Any) -> None:
        with DisconnectWatch().cancel_on_disconnect(receive) as watch:
            connection = await client.send(client.make_head("GET", "/notes", (), None), is_repeatable=True)
            headers = pass_headers(connection.headers, address, shows_profile=False)
            await UpstreamStream(client, connection, headers).stream_to(send, watch, Audience.CLIENT, is_head=False)

    hostile.behave = pour
    before, read, most_ahead, most_grown = _memory(), 0, 0, 0.0
    listener = open_listener()
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with (
        serving(stream_to, listener),
        httpx.AsyncClient(trust_env=False) as reader,
        reader.stream("GET", origin) as answer,
    ):
        async for piece in answer.aiter_raw(1_000_000):
            read += len(piece)
            if read < 40_000_000:
                await asyncio.sleep(0.01)
            most_ahead, most_grown = max(most_ahead, sent - read), max(most_grown, _memory() - before)
    await client.close()
    assert read == total
    assert most_ahead < 25_000_000
    assert most_grown < 60_000_000


def _memory() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * float(resource.getpagesize())


async def test_what_is_compressed_passes_as_it_is(bench: Bench, hostile: HostileServer) -> None:
    agent = await bench.agent(access="read")
    data = gzip.compress(b'[{"id":7}]')
    hostile.behave = always(make_answer(200, data, content_encoding="gzip"))
    answer = await agent.http.get("/notes", headers={"accept-encoding": "gzip, br"})
    assert (answer.headers["content-encoding"], answer.json()) == ("gzip", [{"id": 7}])
    assert hostile.heard[-1].headers["accept-encoding"] == "gzip"
    hostile.behave = be_good
    await agent.http.get("/notes", headers={"accept-encoding": "br;q=1.0, gzip;q=0"})
    assert hostile.heard[-1].headers["accept-encoding"] == "identity"


async def test_only_listed_headers_pass_and_no_credential(bench: Bench, hostile: HostileServer) -> None:
    agent = await bench.agent(access="read")
    secret = {
        "cookie": "theirs=1", "x-forwarded-for": "192.0.2.1", "x-mine": "1", "user-agent": "Mozilla/5.0",
        "origin": f"http://127.0.0.1:{bench.product.port}", "referer": "http://x/", "if-none-match": "x",
        "accept": "text/csv", "range": "0-9", "range-unit": "items", "prefer": "count=exact, made-up=1, tx=rollback",
    }  # fmt: skip
    headers = {
        "set_cookie": "a=1", "server": "kong/3", "x_powered_by": "x", "via": "kong", "cf_ray": "1", "etag": "x",
        "access_control_allow_origin": "*", "content_range": "0-0/1", "preference_applied": "count=exact",
        "location": "/rest/v1/notes?id=eq.1", "content_location": "https://elsewhere.example/notes",
    }  # fmt: skip
    hostile.behave = always(make_answer(206, b"[]", **headers))
    answer = await agent.http.get("/notes?select=id", headers=secret)
    heard = hostile.heard[-1]
    assert heard.target == "/rest/v1/notes?select=id"
    assert set(heard.headers) == {
        "host", "user-agent", "apikey", "accept", "range", "range-unit", "accept-profile", "prefer", "accept-encoding",
    }  # fmt: skip
    assert heard.headers["apikey"] == KEY
    assert heard.headers["user-agent"].startswith("basewarden/")
    assert heard.headers["prefer"] == "count=exact"
    assert agent.token not in str(heard.headers)
    assert answer.status_code == 206
    for name in ("set-cookie", "server", "x-powered-by", "via", "cf-ray", "etag", "access-control-allow-origin"):
        assert answer.headers.get(name) in (None, "uvicorn"), name
    assert answer.headers["location"] == "/notes?id=eq.1"
    assert "content-location" not in answer.headers
    assert answer.headers["content-range"] == "0-0/1"
    assert answer.headers["preference-applied"] == "count=exact"


@asynccontextmanager
async def counting(hostile: HostileServer) -> AsyncIterator[list[Any]]:
    before = len(hostile.heard)
    made: list[Any] = []
    yield made
    made.extend(hostile.heard[before:])


async def test_no_write_goes_out_that_would_not_be_recorded(bench: Bench, hostile: HostileServer) -> None:
    """Its rows come without what tells their versions."""
    agent = await bench.agent()
    async with counting(hostile) as made:
        for method, path in (("POST", "/notes"), ("PATCH", "/notes?id=eq.1"), ("DELETE", "/notes?id=eq.1")):
            answer = await agent.http.request(method, path, json={"id": 1})
            assert (answer.status_code, answer.json()["code"]) == (502, "upstream_invalid")
        answer = await agent.http.patch("/notes?id=eq.1", json={}, headers={"prefer": "tx=rollback"})
        assert answer.json()["code"] == "rollback_unsupported"
        assert (await agent.http.delete("/notes")).json()["code"] == "filter_required"
        assert (await agent.http.post("/unheard_of", json={})).json()["code"] == "capture_unsupported"
    assert [one.method for one in made if one.method != "GET"] == []


def describe_much(document: bytes, schemas: int) -> Behave:
    """Twenty schemas, and the same large description of each."""
    names = ", ".join(["public", *(f"s{number}" for number in range(1, schemas))])
    refusal = {
        "code": "PGRST106",
        "details": None,
        "hint": f"Only the following schemas are exposed: {names}",
        "message": "Invalid schema: basewarden-probe",
    }

    async def describe(turn: HostileExchange) -> None:
        if "basewarden" in turn.heard.headers.get("accept-profile", ""):
            await turn.send(make_answer(406, refusal))
        else:
            await turn.send(make_answer(200, document, "application/openapi+json"))

    return describe


@asynccontextmanager
async def measuring_gaps() -> AsyncIterator[list[float]]:
    """How long the event loop let the others wait."""
    gaps: list[float] = []
    loop = asyncio.get_running_loop()

    async def beat() -> None:
        while True:
            before = loop.time()
            await asyncio.sleep(0.01)
            gaps.append(loop.time() - before)

    beating = asyncio.create_task(beat())
    try:
        yield gaps
    finally:
        beating.cancel()


BIG = 4_000_000
_DESCRIPTIONS: list[tuple[str, bytes, int]] = [
    ("many megabytes", b'{"paths":{},"definitions":{},"x":"%b"}' % (b"x" * BIG), 20),
    ("many values", b'{"paths":{},"definitions":{},"x":[%b{}]}' % (b"{}," * 2_100_000), 1),
    ("many columns", b'{"paths":{},"definitions":{"a":{"properties":{%b}}}}'
        % b",".join(b'"c%d":{}' % number for number in range(200_001)), 1),
]  # fmt: skip


async def test_a_description_without_measure_is_refused(bench: Bench, hostile: HostileServer) -> None:
    agent = await bench.agent(access="read")
    for name, document, schemas in _DESCRIPTIONS:
        async with serve_hostile() as other:
            connected = await bench.person.post("/api/connections", json={"name": "B", "url": other.url, "key": KEY})
            other.behave = describe_much(document, schemas)
            before = len(other.heard)
            async with measuring_gaps() as gaps:
                answer = await bench.person.get(f"/api/v/{connected.json()['id']}/introspect")
            assert (answer.status_code, answer.json()["code"]) == (502, "upstream_invalid"), name
            assert (len(other.heard) - before) * BIG < 45_000_000 or schemas == 1
            assert max(gaps) < 5, name
            again = await bench.person.get(f"/api/v/{connected.json()['id']}/introspect")
            assert again.status_code == 502
    assert (await agent.http.get("/notes")).status_code == 200  # nothing of it concerns another project


async def test_what_failed_is_not_asked_again_by_each_that_waits(bench: Bench, hostile: HostileServer) -> None:
    hostile.behave = always(make_answer(500, b"", "text/plain"))
    path = f"/api/v/{bench.connection_id}/introspect"
    answers = await asyncio.gather(*(bench.person.get(path) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {503}
    asked = [one for one in hostile.heard if "basewarden" in one.headers.get("accept-profile", "")]
    assert len(asked) < 10


async def test_a_large_description_is_read(bench: Bench, hostile: HostileServer) -> None:
    tables = {f"t{number}": {"properties": {f"c{n}": {"format": "text"} for n in range(50)}} for number in range(1000)}
    document = {"paths": {f"/{name}": {"get": {}, "post": {}} for name in tables}, "definitions": tables}
    hostile.behave = describe_much(json.dumps(document).encode(), 1)
    answer = await bench.person.get(f"/api/v/{bench.connection_id}/introspect")
    assert answer.status_code == 200
    assert len(answer.json()["tables"]) == 1000


SMUGGLING: list[tuple[str, bytes, tuple[int, ...]]] = [
    ("a 204 with a body", b"HTTP/1.1 204 X\r\ncontent-length: 9\r\n\r\nHTTP/1.1 ", (204, 502)),
    ("a 204 with chunks", b"HTTP/1.1 204 X\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", (204, 502)),
    ("a 304 with a body", b"HTTP/1.1 304 X\r\ncontent-length: 9\r\n\r\nHTTP/1.1 ", (502,)),
    ("two framings", b"HTTP/1.1 200 X\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n", (502,)),
    ("600", make_answer(600, {"code": "22P02", "message": "x"}), (502,)),
    ("999", make_answer(999, b"hello"), (502,)),
    ("99", b"HTTP/1.1 99 X\r\ncontent-length: 0\r\n\r\n", (502,)),
    ("a number of four digits", b"HTTP/1.1 2000 X\r\ncontent-length: 0\r\n\r\n", (502,)),
]  # fmt: skip


def describe_well_and(behave: Behave) -> Behave:
    async def choose(turn: HostileExchange) -> None:
        is_description = turn.heard.target in ("/rest/v1/", "/") or "basewarden" in turn.heard.target
        await (be_good if is_description else behave)(turn)

    return choose


async def test_no_framing_of_a_project_reaches_our_caller(bench: Bench, hostile: HostileServer) -> None:
    agent = await bench.agent()
    for name, data, statuses in SMUGGLING:
        hostile.behave = describe_well_and(always(data, closes=True))
        answer = await agent.http.get("/notes")
        assert answer.status_code in statuses, name
        assert answer.headers["x-request-id"]
        called = await agent.http.post("/rpc/anything", json={})
        assert called.status_code in statuses, name
        assert called.headers["x-request-id"]
        assert called.status_code != 502 or called.json()["code"] == "outcome_unknown"
