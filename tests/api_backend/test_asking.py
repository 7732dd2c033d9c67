"""What an exchange with a project's API shows of a write: done, refused, not reached, or unknown."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from basewarden.connections.rest.client import RestClient, Timeouts
from basewarden.connections.rest.keys import parse_key
from basewarden.connections.rest.urls import RestAddress
from basewarden.core.secret import Secret
from basewarden.errors import AppError
from basewarden.gateway.api.upstream import UpstreamRequest
from basewarden.gateway.api.upstream_client import ProjectUpstream
from basewarden.gateway.errors import OutcomeUnknown, UpstreamKeyRefused, UpstreamLimited, UpstreamUnavailable
from tests.fakes.hostile import HostileExchange, HostileServer, always, make_answer, serve_hostile
from tests.fixtures.waiting import wait_until

_QUICK = Timeouts(connect=2, free_connection=1, head=1, idle=1)
_WRITE = UpstreamRequest("POST", "/notes", "select=id", (("content-type", "application/json"),), b'{"id":1}')
_READ = UpstreamRequest("GET", "/notes")
_ERROR = {"code": "23505", "message": "duplicate key", "details": None, "hint": None}


@pytest.fixture
async def hostile() -> AsyncIterator[HostileServer]:
    async with serve_hostile() as hostile:
        yield hostile


@pytest.fixture
async def upstream(hostile: HostileServer) -> AsyncIterator[ProjectUpstream]:
    address = RestAddress("http", "127.0.0.1", hostile.port, "/rest/v1")
    key = parse_key(Secret("sb_secret_0123456789abcdef"))
    client = RestClient(address, key, allow_private=True, timeouts=_QUICK)
    yield ProjectUpstream(client, address)
    await client.close()


async def test_only_what_is_on_the_list_goes_out(hostile: HostileServer, upstream: ProjectUpstream) -> None:
    hostile.behave = always(make_answer(201, b'[{"id":1}]', location="/notes?id=eq.1", set_cookie="a=1"))
    headers = (
        *_WRITE.headers,
        ("prefer", "return=representation"),
        ("content-profile", "public"),
        ("Cookie", "theirs=1"),
        ("authorization", "Bearer theirs"),
        ("x-forwarded-for", "192.0.2.1"),
        ("user-agent", "Mozilla/5.0"),
        ("accept-encoding", "br"),
    )
    answer = await upstream.ask(UpstreamRequest("POST", "/notes", "select=id", headers, _WRITE.body))
    (heard,) = hostile.heard
    assert (heard.method, heard.target, heard.body) == ("POST", "/rest/v1/notes?select=id", b'{"id":1}')
    assert set(heard.headers) == {
        "host", "user-agent", "apikey", "content-type", "prefer", "content-profile", "accept-encoding", "content-length",
    }  # fmt: skip
    assert heard.headers["user-agent"].startswith("basewarden/")
    assert heard.headers["accept-encoding"] == "identity"
    assert (answer.status, answer.body) == (201, b'[{"id":1}]')
    assert dict(answer.headers)["Location"] == "/notes?id=eq.1"
    assert "set-cookie" not in {name.lower() for name, _ in answer.headers}


ANSWERS: list[tuple[str, bytes, type[AppError] | int]] = [
    ("a refusal", make_answer(409, _ERROR), 409),
    ("no right", make_answer(401, {**_ERROR, "code": "42501"}), 403),
    ("a lost database", make_answer(503, {**_ERROR, "code": "PGRST001"}), 503),
    ("a bad key", make_answer(401, {"message": "Invalid API key"}), UpstreamKeyRefused),
    ("too many", make_answer(429, {"message": "slow"}), UpstreamLimited),
    ("no such route", make_answer(404, {"message": "no Route matched"}), UpstreamUnavailable),
    ("a paused project", make_answer(540, b"", "text/html"), UpstreamUnavailable),
    ("no way to the project", make_answer(522, b"", "text/html"), UpstreamUnavailable),
    ("a gateway's time-out", make_answer(504, b"", "text/html"), OutcomeUnknown),
    ("a hosted gateway's time-out", make_answer(544, b"", "text/html"), OutcomeUnknown),
    ("a gateway's bad answer", make_answer(502, b"", "text/html"), OutcomeUnknown),
    ("a request's time-out", make_answer(408, b"", "text/html"), OutcomeUnknown),
    ("a redirect", make_answer(307, b"", location="/elsewhere"), OutcomeUnknown),
    ("nothing", b"", OutcomeUnknown),
    ("half an answer", b"HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\n[", OutcomeUnknown),
    ("garbage", b"what?\r\n\r\n", OutcomeUnknown),
    ("what cannot be read", make_answer(201, b"x", content_encoding="br"), OutcomeUnknown),
]


async def test_a_write_without_a_clear_answer_counts_neither_as_done_nor_as_refused(
    hostile: HostileServer, upstream: ProjectUpstream
) -> None:
    for name, data, expected in ANSWERS:
        hostile.behave = always(data, closes=True)
        before = len(hostile.heard)
        if isinstance(expected, int):
            assert (await upstream.ask(_WRITE)).status == expected, name
        else:
            with pytest.raises(AppError) as raised:
                await upstream.ask(_WRITE)
            assert type(raised.value) is expected, name
        assert len(hostile.heard) == before + 1, name  # sent once, whatever came of it
        await asyncio.sleep(0.01)  # the end of this connection is heard of before the next write


async def test_what_reads_is_never_in_doubt(hostile: HostileServer, upstream: ProjectUpstream) -> None:
    for name, data, expected in ANSWERS:
        hostile.behave = always(data, closes=True)
        if isinstance(expected, int):
            assert (await upstream.ask(_READ)).status == expected, name
        else:
            with pytest.raises(UpstreamUnavailable):
                await upstream.ask(_READ)


async def test_a_project_that_is_silent_or_gone(hostile: HostileServer, upstream: ProjectUpstream) -> None:
    async def stay_silent(turn: HostileExchange) -> None:
        await turn.gone()

    hostile.behave = stay_silent
    with pytest.raises(OutcomeUnknown):
        await upstream.ask(_WRITE)
    with pytest.raises(UpstreamUnavailable) as slow:
        await upstream.ask(_READ)
    assert slow.value.status == 504
    closed_port = RestAddress("http", "127.0.0.1", 1)
    client = RestClient(
        closed_port, parse_key(Secret("sb_secret_0123456789abcdef")), allow_private=True, timeouts=_QUICK
    )
    with pytest.raises(UpstreamUnavailable) as away:
        await ProjectUpstream(client, closed_port).ask(_WRITE)
    assert away.value.details == {"reason": "refused"}
    await client.close()


async def test_a_write_whose_caller_left_ends(hostile: HostileServer, upstream: ProjectUpstream) -> None:
    ended = asyncio.Event()

    async def wait(turn: HostileExchange) -> None:
        await turn.gone()
        ended.set()

    hostile.behave = wait
    task = asyncio.create_task(upstream.ask(_WRITE))
    await wait_until(lambda: hostile.heard, "the write to arrive")
    task.cancel()
    async with asyncio.timeout(10):
        await ended.wait()
