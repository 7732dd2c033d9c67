"""What breaks in the middle: nothing is taken for success that is not known to be one, and nothing is forgotten."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
import pytest

from basewarden.gateway.api.upstream import UpstreamRequest, UpstreamResponse
from basewarden.gateway.errors import OutcomeUnknown, UpstreamKeyRefused, UpstreamLimited, UpstreamUnavailable
from basewarden.journal import JournalUnavailable
from basewarden.undo.errors import ProjectAway, UndoRunning
from basewarden.undo.planning.choices import Choices
from tests.api_backend.api_bench import ApiBench, WatchedUpstream, body_of, reach_project
from tests.api_backend.conftest import OpenProject
from tests.api_backend.faulty_proxy import FaultyProxy, ProxyFault, open_faulty_proxy
from tests.fakes.hostile import make_answer
from tests.fixtures.journal import JournalDatabase
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.waiting import wait_until

TABLES = "CREATE TABLE t (id int PRIMARY KEY, x text);\nINSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"
ANN = [{"id": 1, "x": "a"}]


@pytest.fixture
async def bench(open_project: OpenProject) -> ApiBench:
    return await open_project(TABLES)


@pytest.fixture
async def proxy(bench: ApiBench) -> AsyncIterator[FaultyProxy]:
    """Between the product's client and the project's API."""
    async with open_faulty_proxy(bench.port) as proxy, reach_project(proxy.port) as project:
        bench.upstream = WatchedUpstream(project.upstream, bench.admin)
        yield proxy


AWAY = make_answer(521, b"<html>Web server is down</html>", "text/html")


def make_error(status: int, code: str) -> bytes:
    return make_answer(status, {"code": code, "message": "no", "details": None, "hint": None})


def show_answer(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    return f"{head.split()[1].decode()} {body[:20].decode()}"


# The connection ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "happens"), [("drop_answer", True), ("truncate_answer", True), ("drop_request", False)]
)
@pytest.mark.parametrize(
    ("method", "path", "body", "images"),
    [
        ("PATCH", "/t?id=eq.1", {"x": "z"}, [("t", "update", {"id": 1, "x": "a"}, None)]),
        ("DELETE", "/t?id=eq.1", None, [("t", "delete", {"id": 1, "x": "a"}, None)]),
        ("POST", "/t", {"id": 9, "x": "z"}, []),
    ],
)
async def test_an_answer_that_is_lost(
    bench: ApiBench,
    proxy: FaultyProxy,
    fault: ProxyFault,
    happens: bool,
    method: str,
    path: str,
    body: Any,
    images: list[Any],
) -> None:
    """Whether it happened is unknown: neither the client's answer nor the journal reports success."""
    standing = await bench.texts("t")
    proxy.fault = fault
    with pytest.raises(OutcomeUnknown):
        await bench.write(method, path, body)
    assert (await bench.texts("t") != standing) is happens
    write = await bench.wait_state("unknown")
    assert (write.verb, write.changes) == ({"PATCH": "update", "DELETE": "delete", "POST": "insert"}[method], images)
    proxy.fault = "none"
    standing = await bench.texts("t")
    receipt = await bench.undo()
    assert (receipt.planned, receipt.undo_session_id) == (0, None)
    assert len(receipt.irreversible) == 1
    assert await bench.texts("t") == standing
    assert (await bench.session(await bench.session_id()))["status"] == "open"


async def test_a_project_that_is_away(bench: ApiBench) -> None:
    async with reach_project(1) as project:
        away = replace(bench, upstream=WatchedUpstream(project.upstream, bench.admin))
        with pytest.raises(UpstreamUnavailable):
            await away.write("PATCH", "/t?id=eq.1", {"x": "z"}, schema=await bench.schema())
    assert await bench.list_writes() == []


async def test_a_project_that_goes_away_before_the_write(bench: ApiBench, proxy: FaultyProxy) -> None:
    proxy.answers = [AWAY]
    with pytest.raises(UpstreamUnavailable):
        await bench.write("PATCH", "/t?id=eq.1", {"x": "z"})
    await bench.wait_state("aborted")


async def test_a_request_that_is_called_off(bench: ApiBench, proxy: FaultyProxy) -> None:
    proxy.fault = "no_answer"
    task = asyncio.create_task(bench.write("PATCH", "/t?id=eq.1", {"x": "z"}))
    await wait_until(lambda: proxy.writes, "the write to reach the project")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await bench.wait_state("unknown")


# Answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        make_answer(502, b"<html>Bad Gateway</html>", "text/html"),
        make_answer(504, b""),
        make_answer(500, b'{"message":"An unexpected error"}'),
        make_answer(408, b"timeout", "text/plain"),
        make_error(503, "PGRST001"),
        make_error(500, "PGRST111"),  # the transaction was committed; then a header of the answer was not understood
        make_error(503, "57P01"),
        make_error(503, "08006"),
        make_answer(200, b'[{"id":1,"x":"z"'),
        make_answer(200, b'{"other": 1}]'),
        make_answer(200, b"fine", "text/plain"),
    ],
    ids=show_answer,
)
async def test_answers_that_leave_the_outcome_unknown(bench: ApiBench, proxy: FaultyProxy, answer: bytes) -> None:
    proxy.answers = [answer]
    with pytest.raises(OutcomeUnknown):
        await bench.write("PATCH", "/t?id=eq.1", {"x": "z"})
    await bench.wait_state("unknown")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "22P02"),
        (409, "23505"),
        (403, "42501"),
        (500, "XX000"),
        (504, "PGRST003"),
        (500, "57014"),  # a statement timeout
    ],
)
async def test_refusals_are_passed_on(bench: ApiBench, proxy: FaultyProxy, status: int, code: str) -> None:
    answer = make_error(status, code)
    body = answer.partition(b"\r\n\r\n")[2]
    proxy.answers = [answer]
    passed = await bench.write("POST", "/t", {"id": 9})
    assert (passed.response.status, passed.response.body) == (status, body)
    assert ("Content-Length", str(len(body))) in passed.response.headers
    assert not any(name == "connection" for name, _ in passed.response.headers)
    await bench.wait_state("aborted")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (make_answer(429, b"slow down", "text/plain"), UpstreamLimited),
        (make_answer(423, b"<html>locked</html>", "text/html"), UpstreamUnavailable),
        (make_answer(401, {"message": "No API key found in request"}), UpstreamKeyRefused),
    ],
    ids=["429", "423", "401"],
)
async def test_refusals_of_the_projects_gateway_are_explained(
    bench: ApiBench, proxy: FaultyProxy, answer: bytes, expected: type[UpstreamUnavailable]
) -> None:
    proxy.answers = [answer]
    with pytest.raises(expected) as raised:
        await bench.write("POST", "/t", {"id": 9})
    assert type(raised.value) is expected
    await bench.wait_state("aborted")


async def test_an_error_of_the_read_is_passed_on(bench: ApiBench) -> None:
    answer = await bench.write("PATCH", "/t?id=eq.nonsense", {"x": "z"})
    assert (answer.response.status, body_of(answer)["code"]) == (400, "22P02")
    assert await bench.list_writes() == []


# The journal ---------------------------------------------------------------------------------------------


@pytest.fixture
async def own(bench: ApiBench, postgres: PostgresServer, journal_db: JournalDatabase) -> ApiBench:
    """With a journal that may be shut."""
    return replace(bench, journal=journal_db, recorder=await journal_db.recorder())


async def shut(postgres: PostgresServer, journal_db: JournalDatabase, *, is_open: bool) -> None:
    name = journal_db.dsn.rpartition("/")[2]
    async with await psycopg.AsyncConnection.connect(postgres.embedded.dsn("postgres"), autocommit=True) as admin:
        await admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {is_open}".encode())
        if not is_open:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s",
                (name, journal_db.admin.info.backend_pid),
            )


async def test_without_a_journal_nothing_is_sent(own: ApiBench, postgres: PostgresServer) -> None:
    await shut(postgres, own.journal, is_open=False)
    with pytest.raises(JournalUnavailable):
        await own.write("PATCH", "/t?id=eq.1", {"x": "z"})
    assert {request.method for request in own.upstream.asked} == {"GET"}
    await shut(postgres, own.journal, is_open=True)


async def test_a_journal_that_is_away_at_the_end(
    own: ApiBench, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write is done, so the client gets its answer; the outcome is kept until the journal is back."""
    monkeypatch.setattr("basewarden.journal.recorder.OUTCOME_SECONDS", 0.1)
    own.upstream.before_write = partial(shut, postgres, own.journal, is_open=False)
    answer = await own.write("PATCH", "/t?id=eq.1", {"x": "z"})
    assert answer.response.status == 200
    assert (await own.last()).state == "pending"
    await shut(postgres, own.journal, is_open=True)
    assert (await own.wait_state("committed")).changes == [("t", "update", {"id": 1, "x": "a"}, {"id": 1, "x": "z"})]


# Undo ----------------------------------------------------------------------------------------------------


async def wreck(bench: ApiBench) -> dict[str, list[str]]:
    before = await bench.texts("t")
    await bench.write("PATCH", "/t?id=gt.0", {"x": "z"})
    return before


async def test_an_undo_whose_answer_is_lost(bench: ApiBench, proxy: FaultyProxy) -> None:
    before = await wreck(bench)
    session = await bench.session_id()
    proxy.fault = "drop_answer"
    receipt = await bench.undo()
    assert {one.reason for one in receipt.conflicts} <= {
        "The outcome for this row is unknown: the response was lost.",
        "The row was not attempted, because another row could not be undone.",
    }
    assert (receipt.planned, receipt.reverted) == (3, 0)
    assert (await bench.session(session))["status"] == "partly_undone"
    proxy.fault = "none"
    again = await bench.undo(session)
    assert (again.reverted + again.already_reverted, again.conflicts) == (3, ())
    assert await bench.texts("t") == before


async def test_an_undo_that_loses_the_project_half_way(bench: ApiBench, proxy: FaultyProxy) -> None:
    before = await wreck(bench)
    proxy.answers = [None, AWAY, AWAY, AWAY]
    receipt = await bench.undo()
    assert (receipt.planned, receipt.reverted) == (3, 1)
    reasons = {one.reason for one in receipt.conflicts}
    assert reasons == {"The row was not attempted, because the project or the journal could not be reached."}
    proxy.answers = []
    again = await bench.undo()
    assert (again.reverted, again.already_reverted) == (2, 1)
    assert await bench.texts("t") == before


async def test_an_undo_that_finds_no_project(bench: ApiBench, proxy: FaultyProxy) -> None:
    await wreck(bench)
    session = await bench.session_id()
    proxy.answers = [AWAY] * 4
    with pytest.raises(ProjectAway):
        await bench.undo()
    proxy.answers = []
    assert (await bench.session(session))["status"] == "open"
    assert (await bench.undo()).reverted == 3


class Death(Exception):
    """The process ends before it hears what became of a request."""


class DyingUpstream(WatchedUpstream):
    """Dies where one more write than `most` would go out."""

    most = 2

    async def ask(self, request: UpstreamRequest) -> UpstreamResponse:
        if sum(asked.method != "GET" for asked in (*self.asked, request)) > self.most:
            raise Death
        return await super().ask(request)


async def test_an_undo_that_is_cut_off_counts_only_the_chosen_rows_that_it_restored(
    bench: ApiBench, shared_journal: JournalDatabase
) -> None:
    await bench.write("PATCH", "/t?id=lt.4", {"x": "z"})
    await bench.write("POST", "/t", {"id": 50, "x": "z"})
    session = await bench.session_id()
    await bench.run("UPDATE t SET x = 'theirs'")
    choices = Choices(frozenset(one.id or "" for one in (await bench.preview()).conflicts))
    living, dying = bench.upstream, DyingUpstream(bench.upstream, bench.admin)
    bench.upstream, dying.most = dying, 1
    with pytest.raises(ExceptionGroup):
        await bench.undo(choices=choices)
    bench.upstream = living
    await bench.journal.rows(
        f"UPDATE journal_writes SET at = now() - interval '6 minutes' WHERE connection_id = '{shared_journal.connection_id}'"
        " RETURNING 1"
    )
    await bench.preview(session)
    (cut_off,) = await bench.journal.rows(f"SELECT * FROM journal_sessions WHERE undo_of = '{session}'")
    assert await bench.texts("t") == {"t": ["(1,theirs)", "(2,theirs)", "(3,theirs)"]}
    assert [one["key"] for one in cut_off["receipt"]["overwritten"]] == [["50"]]
    assert (cut_off["receipt"]["planned"], cut_off["receipt"]["reverted"], cut_off["receipt"]["left"]) == (4, 1, 3)


async def test_an_undo_that_is_cut_off(bench: ApiBench, proxy: FaultyProxy, shared_journal: JournalDatabase) -> None:
    """The rows that the journal knows are back; the rest comes with the next press."""
    before = await bench.texts("t")
    await bench.write("PATCH", "/t?id=eq.1", {"x": "z"})
    await bench.write("DELETE", "/t?id=gt.1")
    session = await bench.session_id()
    is_asked, is_changed = make_answer(201, b"[]"), None
    proxy.answers = [is_asked, is_changed]
    living = bench.upstream
    bench.upstream = DyingUpstream(living, bench.admin)
    with pytest.raises(Death):
        await bench.undo()
    bench.upstream = living
    with pytest.raises(UndoRunning):
        await bench.undo(session)
    await bench.journal.rows(
        f"UPDATE journal_writes SET at = now() - interval '6 minutes' WHERE connection_id = '{shared_journal.connection_id}'"
        " RETURNING 1"
    )
    receipt = await bench.undo(session)
    assert (receipt.reverted, receipt.already_reverted, receipt.conflicts) == (2, 1, ())
    assert await bench.texts("t") == before
    (cut_off, *_) = await bench.journal.rows(f"SELECT * FROM journal_sessions WHERE undo_of = '{session}' ORDER BY id")
    assert cut_off["undo_state"] == "done"
    assert (cut_off["receipt"]["planned"], cut_off["receipt"]["reverted"], cut_off["receipt"]["left"]) == (3, 1, 2)
    assert (await bench.session(session))["status"] == "undone"
