"""The client to a project's API, against servers that do what no good one does."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.rest.client import USER_AGENT, PoolExhausted, RestClient, Timeouts
from basewarden.connections.rest.http_connection import (
    HTTPFailure,
    NoResponse,
    ProtocolError,
    ReadTimeout,
    ResponseTruncated,
)
from basewarden.connections.rest.keys import ProjectKey, parse_key
from basewarden.connections.rest.urls import RestAddress
from basewarden.core.secret import Secret
from tests.fakes.hostile import Behave, HostileExchange, HostileServer, always, make_answer, serve_hostile
from tests.fixtures.ports import open_listener
from tests.fixtures.waiting import wait_until

KEY: ProjectKey = parse_key(Secret("sb_secret_0123456789abcdef"))
QUICK = Timeouts(connect=2, free_connection=1, head=1, idle=1)
HELLO = make_answer(200, b"hello")


@asynccontextmanager
async def client_of(hostile: HostileServer, **options: Any) -> AsyncIterator[RestClient]:
    address = RestAddress("http", "127.0.0.1", hostile.port, "/rest/v1")
    client = RestClient(address, KEY, allow_private=True, timeouts=options.pop("timeouts", QUICK), **options)
    try:
        yield client
    finally:
        await client.close()


async def fetch(client: RestClient, method: str = "GET", *, body: bytes = b"") -> tuple[int, bytes]:
    head = client.make_head(method, "/notes", (), len(body) if body else None)
    is_safe = method in ("GET", "HEAD")
    connection = await client.send(head + body, is_head=method == "HEAD", is_repeatable=is_safe)
    try:
        return connection.status, await connection.read_whole(1_000_000)
    finally:
        client.release(connection)


async def test_one_connection_serves_one_request_after_another() -> None:
    async with serve_hostile(always(HELLO)) as hostile, client_of(hostile) as client:
        for _ in range(3):
            assert await fetch(client) == (200, b"hello")
        assert hostile.connections == 1
        heard = hostile.heard[0]
    assert heard.target == "/rest/v1/notes"
    assert heard.headers == {
        "host": f"127.0.0.1:{hostile.port}",
        "user-agent": USER_AGENT,
        "apikey": KEY.value.reveal(),
    }


async def test_a_legacy_key_goes_as_a_bearer_too() -> None:
    key = parse_key(Secret("eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl"))
    assert key.role == "anon"
    assert [name for name, _ in key.headers] == ["apikey", "authorization"]
    assert [name for name, _ in KEY.headers] == ["apikey"]


_CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
BODIES: list[tuple[str, bytes, type[HTTPFailure]]] = [
    ("not HTTP", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", ProtocolError),
    ("a status line alone, then the end", b"HTTP/1.1 200 OK\r\n", ResponseTruncated),
    ("nothing", b"", NoResponse),
    ("less than it said", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n1234567890", ResponseTruncated),
    (
        "chunks without an end",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ResponseTruncated,
    ),
    ("a chunk of no size", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n", ProtocolError),
    ("no length at all", b"HTTP/1.1 200 OK\r\n\r\nhello", ProtocolError),
    ("two lengths", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", ProtocolError),
    (
        "length and chunks",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ProtocolError,
    ),
    ("a bad length", b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello", ProtocolError),
    ("another protocol", b"HTTP/1.1 101 Switching\r\nupgrade: ws\r\nconnection: upgrade\r\n\r\n", ProtocolError),
    ("one header of 100 KB", b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 100_000 + b"\r\n\r\n", ProtocolError),
    ("a header of 1 MB without an end", b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 1_000_000, ProtocolError),
    ("10,000 headers", b"HTTP/1.1 200 OK\r\n" + b"x-a: 12345678\r\n" * 10_000 + b"\r\n", ProtocolError),
    ("not yet, for ever", b"HTTP/1.1 102 Processing\r\n\r\n" * 50, ProtocolError),
    ("a folded header", b"HTTP/1.1 200 OK\r\nx-a: b\r\n c: d\r\ncontent-length: 0\r\n\r\n", ProtocolError),
    ("chunks of a byte", _CHUNKED + b"1\r\nx\r\n" * 40_000 + b"0\r\n\r\n", ProtocolError),
    ("a chunk with much said about it", _CHUNKED + b"1;" + b"e" * 500_000 + b"\r\nx\r\n0\r\n\r\n", ProtocolError),
    ("more than a caller keeps", make_answer(200, b"x" * 1_500_000), ProtocolError),
]


@pytest.mark.parametrize(("data", "failure"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES])
async def test_what_is_no_good_answer_is_an_error_and_the_next_request_has_its_own(
    data: bytes, failure: type[HTTPFailure]
) -> None:
    async with serve_hostile(always(data, closes=True)) as hostile, client_of(hostile) as client:
        with pytest.raises(failure):
            await fetch(client)
        hostile.behave = always(HELLO)
        assert await fetch(client) == (200, b"hello")


async def test_interim_answers_and_trailers_are_passed_over() -> None:
    data = (
        b"HTTP/1.1 100 Continue\r\nx-interim: 1\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-trailer: 1\r\n\r\n"
    )
    async with serve_hostile(always(data)) as hostile, client_of(hostile) as client:
        for _ in range(2):
            connection = await client.send(client.make_head("GET", "/notes", (), None), is_repeatable=True)
            assert [name for name, _ in connection.headers] == [b"transfer-encoding"]
            assert await connection.read_whole(100) == b"hello"
            client.release(connection)
        assert hostile.connections == 1


async def test_what_comes_unasked_is_nobodys_answer() -> None:
    """A longer body than was said, or a second answer: both would pass for the answer to the next request."""
    for extra in (b"smuggled", make_answer(200, b"smuggled")):
        async with serve_hostile(always(HELLO + extra)) as hostile, client_of(hostile) as client:
            assert await fetch(client) == (200, b"hello")
            assert await fetch(client) == (200, b"hello")
            assert hostile.connections == 2


async def test_heads_have_no_body() -> None:
    async def answer(turn: HostileExchange) -> None:
        body = b"hello" if turn.heard.method == "GET" else b""
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" + body)

    async with serve_hostile(answer) as hostile, client_of(hostile) as client:
        assert await fetch(client, "HEAD") == (200, b"")
        assert await fetch(client) == (200, b"hello")
        assert await fetch(client, "HEAD") == (200, b"")
        assert hostile.connections == 1


async def drip(turn: HostileExchange) -> None:
    for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-slow: " + b"a" * 50:
        await turn.send(bytes([byte]))
        await asyncio.sleep(0.05)


async def stay_silent(turn: HostileExchange) -> None:
    await turn.gone()


async def stop_half_way(turn: HostileExchange) -> None:
    await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")
    await turn.gone()


@pytest.mark.parametrize("behave", [drip, stay_silent, stop_half_way])
async def test_a_silent_server_times_out(behave: Behave) -> None:
    async with serve_hostile(behave) as hostile, client_of(hostile) as client:
        async with asyncio.timeout(10):
            with pytest.raises(ReadTimeout):
                await fetch(client)
        assert client.open_connections == 0


async def close_after_one(turn: HostileExchange) -> None:
    await turn.send(HELLO)
    turn.writer.transport.abort()


async def test_a_connection_that_ended_meanwhile_causes_no_error() -> None:
    async with serve_hostile(close_after_one) as hostile, client_of(hostile) as client:
        for _ in range(5):
            assert await fetch(client) == (200, b"hello")
            await asyncio.sleep(0.01)  # a write that is sent in the very moment of the end is another story, below
            assert await fetch(client, "POST", body=b"{}") == (200, b"hello")
        assert len(hostile.heard) == 10


async def end_at_the_second(turn: HostileExchange) -> None:
    """As a server that closes an idle connection in the moment in which it is used again."""
    seen.append(turn.heard.method)
    if len(seen) % 2 == 0:
        turn.writer.transport.abort()
    else:
        await turn.send(HELLO)


seen: list[str] = []


async def test_only_what_reads_is_sent_again() -> None:
    seen.clear()
    async with serve_hostile(end_at_the_second) as hostile, client_of(hostile) as client:
        await fetch(client)
        assert await fetch(client) == (200, b"hello")
        assert seen == ["GET", "GET", "GET"]
        with pytest.raises(NoResponse):
            await fetch(client, "POST", body=b"{}")
        assert seen == ["GET", "GET", "GET", "POST"]
        seen.append("")
        hostile.behave = always(b"", closes=True)
        with pytest.raises(NoResponse):  # a fresh connection that ends so is not tried for ever
            await fetch(client)


async def test_connections_are_bounded_and_everybody_has_a_turn() -> None:
    async def answer(turn: HostileExchange) -> None:
        await asyncio.sleep(0.005)
        await turn.send(HELLO)

    async with serve_hostile(answer) as hostile, client_of(hostile, size=3) as client:
        assert await asyncio.gather(*(fetch(client) for _ in range(20))) == [(200, b"hello")] * 20
        assert hostile.most_open == 3
        wanted = [asyncio.create_task(fetch(client)) for _ in range(40)]
        await asyncio.sleep(0.01)
        for task in wanted[5:15]:
            task.cancel()
        done = await asyncio.gather(*wanted, return_exceptions=True)
        assert [one for one in done if not isinstance(one, asyncio.CancelledError)] == [(200, b"hello")] * 30
        assert client.open_connections <= 3


async def test_a_release_right_after_a_cancellation_leaves_it_one() -> None:
    async with serve_hostile(always(HELLO)) as hostile, client_of(hostile, size=1) as client:
        connection = await client.send(client.make_head("GET", "/notes", (), None), is_repeatable=True)
        await connection.read_whole(100)
        waiting = asyncio.create_task(fetch(client))
        await asyncio.sleep(0)
        waiting.cancel()
        client.release(connection)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await fetch(client) == (200, b"hello")


async def test_a_full_pool_is_an_error() -> None:
    async with (
        serve_hostile(stay_silent) as hostile,
        client_of(hostile, size=1, timeouts=Timeouts(free_connection=0.1)) as client,
    ):
        first = asyncio.create_task(fetch(client))
        await asyncio.sleep(0.05)
        with pytest.raises(PoolExhausted):
            await fetch(client)
        assert len(hostile.heard) == 1
        first.cancel()
        hostile.behave = always(HELLO)
        assert await fetch(client) == (200, b"hello")


async def test_who_goes_ends_what_was_asked() -> None:
    ended = asyncio.Event()

    async def answer(turn: HostileExchange) -> None:
        await turn.gone()
        ended.set()

    async with serve_hostile(answer) as hostile, client_of(hostile, timeouts=Timeouts()) as client:
        task = asyncio.create_task(fetch(client))
        await wait_until(lambda: hostile.heard, "the request to arrive")
        task.cancel()
        async with asyncio.timeout(10):
            await ended.wait()


async def test_a_write_that_is_cancelled_as_it_is_sent_keeps_no_place() -> None:
    async with serve_hostile(always(HELLO)) as hostile, client_of(hostile, size=1) as client:
        assert await fetch(client) == (200, b"hello")
        write = asyncio.create_task(fetch(client, "POST", body=b"{}"))
        await asyncio.sleep(0)  # now it looks whether the connection has ended
        write.cancel()
        await asyncio.wait([write])
        assert await fetch(client) == (200, b"hello")


async def test_no_more_is_read_than_the_caller_consumes() -> None:
    total, part = 50_000_000, b"x" * 100_000
    sent = 0

    async def pour(turn: HostileExchange) -> None:
        nonlocal sent
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while sent < total:
            await turn.send(part)
            sent += len(part)

    async with serve_hostile(pour) as hostile, client_of(hostile) as client:
        connection = await client.send(client.make_head("GET", "/notes", (), None), is_repeatable=True)
        read = len(await connection.read())
        await asyncio.sleep(0.5)  # longer than the patience between two parts: it is we who are slow
        assert sent < 12_000_000  # what sockets' buffers hold
        while part_read := await connection.read():
            read += len(part_read)
        client.release(connection)
    assert read == total


async def test_redirects_are_not_followed() -> None:
    async with serve_hostile(always(HELLO)) as inside:
        away = make_answer(302, b"", location=f"{inside.url}/latest/meta-data")
        async with serve_hostile(always(away)) as hostile, client_of(hostile) as client:
            assert await fetch(client) == (302, b"")
        assert inside.connections == 0


async def test_a_name_is_resolved_once_for_each_connect_and_that_is_where_it_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A resolver that changes its mind between the check and the connect is not asked a second time."""
    asked: list[str] = []
    answers = iter(["127.0.0.1", "10.9.8.7"])

    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(0, 0, 0, "", (next(answers), port))]

    async with serve_hostile(always(HELLO, closes=True)) as hostile:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve_names(resolve))
        address = RestAddress("http", "project.example", hostile.port)
        client = RestClient(address, KEY, allow_private=True, timeouts=QUICK)
        assert await fetch(client) == (200, b"hello")
        assert asked == ["project.example"]
        assert hostile.heard[0].headers["host"] == f"project.example:{hostile.port}"
        monkeypatch.setattr(client, "_allow_private", False)
        await client.close()
        strict = RestClient(address, KEY, allow_private=False, timeouts=QUICK)
        with pytest.raises(ConnectionFailed) as refused:
            await fetch(strict)
        assert refused.value.reason is Reason.ADDRESS_REFUSED
        assert hostile.connections == 1


def resolve_names(resolve: Callable[..., Awaitable[list[Any]]]) -> Callable[..., Awaitable[list[Any]]]:
    """Addresses as asyncio itself asks for them stay as they are."""
    real = asyncio.get_running_loop().getaddrinfo

    async def choose(host: Any, port: Any, **options: Any) -> list[Any]:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return await resolve(host, port, **options)
        return await real(host, port, **options)

    return choose


# TLS ----------------------------------------------------------------------------------------------------


def make_certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.mark.parametrize(
    ("host", "trusts", "reason"),
    [
        ("localhost", True, None),
        ("localhost", False, Reason.CERTIFICATE_INVALID),
        ("127.0.0.1", True, Reason.CERTIFICATE_INVALID),
    ],
    ids=["good", "self-signed", "another name"],
)
async def test_the_certificate_must_be_for_the_name(
    tmp_path: Path, host: str, trusts: bool, reason: Reason | None
) -> None:
    file = make_certificate(tmp_path, "localhost")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    tls = ssl.create_default_context(cafile=str(file)) if trusts else None
    async with serve_hostile(always(HELLO), ssl=server) as hostile:
        client = RestClient(RestAddress("https", host, hostile.port), KEY, allow_private=True, tls=tls, timeouts=QUICK)
        if reason is None:
            assert await fetch(client) == (200, b"hello")
        else:
            with pytest.raises(ConnectionFailed) as failed:
                await fetch(client)
            assert failed.value.reason is reason
            assert hostile.heard == []
        await client.close()


async def test_without_tls_there_is_no_way_down() -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    listener = open_listener()
    port = listener.getsockname()[1]
    async with await asyncio.start_server(refuse, sock=listener):
        client = RestClient(RestAddress("https", "127.0.0.1", port), KEY, allow_private=True, timeouts=QUICK)
        with pytest.raises(ConnectionFailed) as failed:
            await fetch(client)
        assert failed.value.reason is Reason.TLS_REFUSED
        await client.close()


async def test_a_body_that_drips_ends() -> None:
    dripped = 0

    async def drip(turn: HostileExchange) -> None:
        nonlocal dripped
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while True:
            await turn.send(b"x")
            dripped += 1
            await asyncio.sleep(0.02)

    async with serve_hostile(drip) as hostile, client_of(hostile) as client:
        async with asyncio.timeout(10):
            with pytest.raises(ReadTimeout):
                await fetch(client)
    assert 1 < dripped < 1024


async def test_a_slow_body_that_comes_on_is_read_to_its_end() -> None:
    async def go_on(turn: HostileExchange) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 40000\r\n\r\n")
        for _ in range(10):
            await turn.send(b"x" * 4000)
            await asyncio.sleep(0.1)

    async with serve_hostile(go_on) as hostile, client_of(hostile) as client:
        assert await fetch(client) == (200, b"x" * 40_000)


async def test_large_answers_of_one_project_are_kept_one_at_a_time() -> None:
    size, release, began = 3_000_000, asyncio.Event(), asyncio.Event()

    async def hold_the_end_back(turn: HostileExchange) -> None:
        is_first = len(hostile.heard) == 1
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        await turn.send(b"x" * (size - 1))
        if is_first:
            began.set()
            await release.wait()
        await turn.send(b"x")

    async def read(client: RestClient, limit: int = 10_000_000) -> int:
        connection = await client.send(client.make_head("GET", "/notes", (), None), is_repeatable=True)
        try:
            return len(await client.read_whole(connection, limit))
        finally:
            client.release(connection)

    async with serve_hostile(hold_the_end_back) as hostile, client_of(hostile, timeouts=Timeouts()) as client:
        first = asyncio.create_task(read(client))
        await began.wait()
        second = asyncio.create_task(read(client))
        done, _ = await asyncio.wait({first, second}, timeout=0.5)
        assert done == set()
        release.set()
        async with asyncio.timeout(10):
            assert (await first, await second) == (size, size)
            with pytest.raises(ProtocolError):
                await read(client, limit=size - 1)
            assert await read(client) == size  # the turn was given back


async def test_small_answers_wait_for_no_turn() -> None:
    async with serve_hostile(always(HELLO)) as hostile, client_of(hostile) as client, client.open_slot() as turn:
        await turn.acquire()
        connection = await client.send(client.make_head("GET", "/notes", (), None), is_repeatable=True)
        async with asyncio.timeout(5):
            assert await client.read_whole(connection, 1_000_000) == b"hello"
        client.release(connection)
