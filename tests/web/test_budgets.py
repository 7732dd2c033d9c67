"""What is taken in of a request, and for how long: by raw bytes against the served product."""

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from ipaddress import ip_network

import httpx
import pytest

from basewarden.web.budgets import LARGER_BODIES, RequestBudgets
from basewarden.web.guard import raise_file_limit
from tests.fixtures.app import Serve, ServedProduct
from tests.web.raw import RawAnswer, ask, connected, read_answer, read_to_end

BUDGETS = RequestBudgets()
LIVE = b"GET /api/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
JSON = {"content-type": "application/json"}


def make_get(*lines: bytes, path: bytes = b"/signin") -> bytes:
    return b"\r\n".join([b"GET " + path + b" HTTP/1.1", b"Host: x", *lines, b"", b""])


def check_refused(answer: RawAnswer, status: int, code: str) -> None:
    assert (answer.status, answer.json()["code"]) == (status, code), answer.body
    assert set(answer.json()) == {"code", "message", "details", "hint"}
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["connection"] == "close"
    assert len(answer.headers["x-request-id"]) == 16


# Heads ----------------------------------------------------------------------------------------------------


async def test_a_head_within_its_budget_is_taken_and_one_beyond_is_431(product: ServedProduct) -> None:
    fits = make_get(b"Cookie: " + b"a" * (BUDGETS.head_bytes - 200))
    assert (await ask(product.port, fits)).status == 200
    for beyond in (b"Cookie: " + b"a=b;" * 10_000, b"Cookie: " + rb'"\101"' * 8_000, b"X: " + b"a" * 2_000_000):
        check_refused(await ask(product.port, make_get(beyond)), 431, "head_too_large")
    long_path = make_get(path=b"/signin?q=" + b"a" * BUDGETS.head_bytes)
    check_refused(await ask(product.port, long_path), 431, "head_too_large")


async def test_a_hundred_headers_are_taken_and_no_more(product: ServedProduct) -> None:
    lines = [b"X-%d: 1" % number for number in range(BUDGETS.headers)]
    assert (await ask(product.port, make_get(*lines[:-1]))).status == 200
    check_refused(await ask(product.port, make_get(*lines)), 431, "head_too_large")


async def test_a_head_that_does_not_end_is_refused_as_soon_as_it_is_too_long(product: ServedProduct) -> None:
    async with connected(product.port) as (reader, writer):
        writer.write(b"GET /signin HTTP/1.1\r\nHost: x\r\nX: ")
        answering = asyncio.create_task(read_answer(reader))
        sent = 0
        while not answering.done() and sent < 100 * BUDGETS.head_bytes:
            writer.write(b"a" * 4096)
            sent += 4096
            await asyncio.sleep(0)
            await writer.drain()
        check_refused(await answering, 431, "head_too_large")


async def test_invalid_http_is_answered_in_our_error_form(product: ServedProduct) -> None:
    for broken in (b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"):
        check_refused(await ask(product.port, broken), 400, "bad_http")


async def test_trailers_never_become_headers(product: ServedProduct) -> None:
    """A request's origin is checked on its headers; what comes behind the body must not change them."""
    head = b"POST /api/auth/signin HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailer = b"2\r\n{}\r\n0\r\nContent-Type: application/json\r\n\r\n"
    async with connected(product.port) as (reader, writer):
        writer.write(head + trailer)
        assert (await read_answer(reader)).json()["code"] == "bad_json"  # still without a type that says JSON
        writer.write(LIVE)
        assert (await read_answer(reader)).status == 200


async def test_requests_sent_ahead_are_answered_in_turn_and_within_bounds(product: ServedProduct) -> None:
    async with connected(product.port) as (reader, writer):
        writer.write(LIVE * 20)
        assert [(await read_answer(reader)).status for _ in range(20)] == [200] * 20
    async with connected(product.port) as (reader, writer):
        writer.write(LIVE * 3000)
        assert (await read_to_end(reader)).count(b"HTTP/1.1 200") < 200


# Time -----------------------------------------------------------------------------------------------------

IMPATIENT = {"head_seconds": 1.0, "body_idle_seconds": 1.0, "body_seconds": 4.0, "send_idle_seconds": 1.0}


@pytest.fixture
async def impatient(serve: Serve) -> ServedProduct:
    return await serve(IMPATIENT)


async def test_half_a_head_is_ended(impatient: ServedProduct) -> None:
    for start in (b"GET /signin HTT", b"GET /signin HTTP/1.1\r\nHost: x\r\nX: 1\r\n"):
        check_refused(await ask(impatient.port, start), 408, "request_timeout")


async def test_a_head_that_comes_byte_by_byte_is_ended(impatient: ServedProduct) -> None:
    async with connected(impatient.port) as (reader, writer):
        ended = asyncio.create_task(read_to_end(reader))
        writer.write(b"GET /signin HTTP/1.1\r\nHost: x\r\nX: ")
        while not ended.done():
            writer.write(b"a")
            await asyncio.wait([ended], timeout=0.2)
        assert b"request_timeout" in await ended


async def test_a_connection_that_asks_nothing_is_closed_without_a_word(impatient: ServedProduct) -> None:
    async with connected(impatient.port) as (reader, _):
        assert await read_to_end(reader) == b""
    async with connected(impatient.port) as (reader, writer):
        writer.write(LIVE)
        await read_answer(reader)
        writer.write(b"\r\n")  # allowed between requests, and the beginning of none
        assert await read_to_end(reader) == b""


async def test_half_a_body_is_ended(impatient: ServedProduct) -> None:
    for length in (b"Content-Length: 100", b"Transfer-Encoding: chunked"):
        request = b"POST /api/auth/signin HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + length
        check_refused(await ask(impatient.port, request + b"\r\n\r\n" + b'5\r\n{"a":'), 408, "request_timeout")


async def test_a_body_that_never_stops_coming_is_ended(impatient: ServedProduct) -> None:
    async with connected(impatient.port) as (reader, writer):
        ended = asyncio.create_task(read_to_end(reader))
        writer.write(b"POST /api/auth/signin HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
        while not ended.done():
            writer.write(b"a")
            await asyncio.wait([ended], timeout=0.3)
        assert b"request_timeout" in await ended


async def test_a_refused_body_is_not_waited_for(impatient: ServedProduct) -> None:
    """Its answer is read first; a client that goes on sending, or stops, is disconnected."""
    head = b"POST /api/auth/signin HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n"
    async with connected(impatient.port) as (reader, writer):
        writer.write(head)
        assert (await read_answer(reader)).status == 413
        assert await read_to_end(reader) == b""
    async with connected(impatient.port) as (reader, writer):
        writer.write(head + b"a" * 9_000_000)
        assert (await read_answer(reader)).status == 413
        assert await read_to_end(reader) == b""


async def test_many_half_open_requests_do_not_keep_others_out(impatient: ServedProduct) -> None:
    streams = [await asyncio.open_connection("127.0.0.1", impatient.port) for _ in range(300)]
    for number, (_, writer) in enumerate(streams):
        writer.write(b"GET /signin HTTP/1.1\r\nX: " if number % 2 else b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
    assert (await ask(impatient.port, LIVE)).status == 200
    ends = await asyncio.gather(*(read_to_end(reader) for reader, _ in streams))
    assert all(b"HTTP/1.1 4" in end for end in ends)
    for _, writer in streams:
        writer.close()


# Connections ----------------------------------------------------------------------------------------------


async def test_an_address_has_so_many_connections(serve: Serve) -> None:
    product = await serve({"max_connections_per_address": 3})
    streams = [await asyncio.open_connection("127.0.0.1", product.port) for _ in range(3)]
    for reader, writer in streams:
        writer.write(LIVE)
        assert (await read_answer(reader)).status == 200
    async with connected(product.port) as (reader, _):
        check_refused(await read_answer(reader), 429, "too_many_connections")
    streams[0][1].close()
    await streams[0][1].wait_closed()
    assert (await ask_until_let_in(product.port)).status == 200
    for _, writer in streams:
        writer.close()


async def test_a_process_has_so_many_connections(serve: Serve) -> None:
    product = await serve({"max_connections": 2})
    async with connected(product.port), connected(product.port) as (kept, writer):
        writer.write(LIVE)
        assert (await read_answer(kept)).status == 200
        async with connected(product.port) as (reader, _):
            check_refused(await read_answer(reader), 503, "overloaded")


async def test_behind_a_proxy_requests_are_counted_by_whom_they_are_for(serve: Serve) -> None:
    """The proxy itself may have any number of connections; one client of it, not."""
    proxies = (ip_network("127.0.0.1/32"),)
    product = await serve({"max_connections_per_address": 2, "trusted_proxies": proxies})
    request = b"POST /api/auth/signin HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %s\r\nContent-Length: 5\r\n\r\n"
    streams = [await asyncio.open_connection("127.0.0.1", product.port) for _ in range(6)]
    for (_, writer), number in zip(streams, (1, 1, 2, 2, 3, 1), strict=True):
        writer.write(request % (b"203.0.113.%d" % number))
    last = await read_answer(streams[5][0])
    assert (last.status, last.json()["code"]) == (429, "too_many_connections")
    for reader, writer in streams[:5]:
        writer.write(b"{} {}")
        assert (await read_answer(reader)).status == 400
        writer.close()
    streams[5][1].close()


async def ask_until_let_in(port: int) -> RawAnswer:
    """The server hears of a closed connection a moment later."""
    async with asyncio.timeout(10):
        while True:
            answer = await ask(port, LIVE)
            if answer.status != 429:
                return answer


# Bodies ---------------------------------------------------------------------------------------------------


async def test_a_body_beyond_its_budget_is_413(client: httpx.AsyncClient) -> None:
    whole = await client.post("/api/auth/signin", content=b"x" * (BUDGETS.body_bytes + 1))
    assert (whole.status_code, whole.json()["code"]) == (413, "too_large")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(18):
            yield b"x" * 100_000

    chunked = await client.post("/api/auth/signin", content=pieces())
    assert (chunked.status_code, chunked.json()["code"]) == (413, "too_large")
    data = await client.post("/api/v/x/rest/v1/y", content=b"x" * (BUDGETS.data_body_bytes + 1))
    assert (data.status_code, data.json()["code"]) == (413, "too_large")
    fits = await client.post("/api/v/x/rest/v1/y", content=b"x" * (BUDGETS.data_body_bytes))
    assert fits.status_code == 401


def test_larger_bodies_are_for_the_addresses_that_need_them() -> None:
    paths = {
        "/api/webhooks/dodo",
        "/api/connections/1/agents",
        "/api/connections/1/sessions/2/undo",
        "/c/1/data/public.a/+new",
        "/c/1/sentry/leaks/text",
    }
    for path in paths:
        assert BUDGETS.find_body(path).size > BUDGETS.body_bytes, path
    assert len(LARGER_BODIES) == len(paths)
    for path in ("/api/connections", "/signin", "/api/connections/1/undone", "/c/1/database"):
        assert BUDGETS.find_body(path).size == BUDGETS.body_bytes, path


async def test_a_few_wrong_fields_are_named_and_the_rest_is_counted(client: httpx.AsyncClient) -> None:
    body = {f"unknown{number:05}" + "x" * 200: 1 for number in range(250)}
    answer = await client.post("/api/auth/signin", json={"email": "a@example.com", "password": "long enough", **body})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert len(answer.json()["details"]) == 20
    assert answer.json()["hint"].startswith("230 more fields")
    assert len(answer.content) < 5_000


@pytest.mark.parametrize(
    "body",
    [
        b'{"email": "a@example.com", "password": "\xff\xfe"}',
        b'{"email": %s}' % (b"9" * 50_000),
        b"[" * 50_000,
        b"[" * 50_000 + b"]" * 50_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"email":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
    ids=["bad UTF-8", "long number", "open", "closed", "objects", "inner"],
)
async def test_what_the_parser_cannot_read_is_bad_json(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/api/auth/signin", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_json")

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    chunked = await client.post("/api/auth/signin", content=pieces(), headers=JSON)
    assert (chunked.status_code, chunked.json()["code"]) == (400, "bad_json")


async def test_a_body_of_more_values_than_anybody_needs_is_413(client: httpx.AsyncClient) -> None:
    """Each unknown key costs an error that has to be made; commas in texts cost nothing."""
    many = {f"{number:x}": 1 for number in range(3_000)}
    answer = await client.post("/api/auth/signin", json=many)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    words = {"email": "a@example.com", "password": "," * 900, "name": "," * 10_000}
    assert (await client.post("/api/auth/signin", json=words)).status_code == 422


async def test_brackets_in_texts_are_no_nesting(client: httpx.AsyncClient) -> None:
    body = json.dumps({"email": "[" * 70_000}).encode()
    answer = await client.post("/api/auth/signin", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_the_limit_of_open_files_is_raised() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
