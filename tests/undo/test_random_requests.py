"""Random requests of an agent on random tables, over the data API; then the undo over HTTP."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import httpx
import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from basewarden.demo.shop.digest import digest_tables
from tests.chaos.worlds import AgentCall
from tests.fixtures.app import ServedProduct
from tests.fixtures.bench import Bench, BenchAgent, Workshop
from tests.fixtures.postgres import PostgresServer
from tests.undo.calls import draw_call
from tests.undo.test_service import request_undo
from tests.undo.worlds import STAMP, TYPES, Act, TablePlan, draw_act, draw_tables

_TWICE = "21000"  # one INSERT merges into the same row twice; PostgREST answers that with 500

_SOME = settings(
    max_examples=int(os.environ.get("UNDO_EXAMPLES", "15")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@asynccontextmanager
async def open_bench(postgres: PostgresServer, product: ServedProduct, tables: list[TablePlan]) -> AsyncIterator[Bench]:
    """A person, a database and a connection for one example, all of them removed after it."""
    person = await product.sign_up(f"{uuid4().hex}@example.com")
    workshop = Workshop(postgres, product, person)
    try:
        bench = await workshop.bench("\n".join([TYPES, STAMP, *(table.ddl() for table in tables)]))
        yield bench
        assert (await person.delete(f"/api/connections/{bench.connection_id}")).is_success
    finally:
        await workshop.close()
        await person.aclose()


async def send(client: httpx.AsyncClient, base: str, call: AgentCall) -> httpx.Response:
    """Ignores requests that the database rejects; any other failure is an error."""
    answer = await client.request(call.method, base + call.path, json=call.body, headers=call.headers)
    assert answer.status_code < 500 or answer.json()["code"] == _TWICE, (call, answer.status_code, answer.text)
    return answer


async def act(agent: BenchAgent, call: AgentCall, sessions: set[str]) -> None:
    answer = await send(agent.http, "", call)
    if answer.is_success and (session := answer.headers.get("x-basewarden-session")):
        sessions.add(session)


async def interfere(bench: Bench, write: AgentCall | Act) -> None:
    """Writes as a member through the product, or directly to the database."""
    if isinstance(write, AgentCall):
        await send(bench.person, f"/api/v/{bench.connection_id}/rest/v1", write)
    else:
        with suppress(psycopg.DatabaseError):
            await bench.run(write.sql)


async def undo_and_check(bench: Bench, session: str, on_conflict: str = "refuse") -> str | None:
    """Checks that the preview changes nothing and shows what apply then does. Returns the undo's session."""
    digests = await digest_tables(bench.dsn)
    preview = await request_undo(bench, session, "preview")
    assert preview.status_code == 200, preview.text
    assert await digest_tables(bench.dsn) == digests
    done = await request_undo(bench, session, onConflict=on_conflict)
    assert done.status_code == 200, done.text
    assert done.json()["planned"] == preview.json()["planned"]
    return done.json()["undoSessionId"]  # type: ignore[no-any-return]  # JSON


@_SOME
@given(data=st.data())
async def test_an_agents_session_alone(
    postgres: PostgresServer, bench_product: ServedProduct, data: st.DataObject
) -> None:
    tables = data.draw(draw_tables())
    calls = data.draw(st.lists(draw_call(tables), min_size=1, max_size=8))
    async with open_bench(postgres, bench_product, tables) as bench:
        agent = await bench.agent()
        before = await digest_tables(bench.dsn)
        sessions: set[str] = set()
        for call in calls:
            await act(agent, call, sessions)
        left = await digest_tables(bench.dsn)
        assert sessions or left == before
        if not sessions:
            return
        (session,) = sessions
        for expected in (before, left, before):
            undo = await undo_and_check(bench, session)
            assert await digest_tables(bench.dsn) == expected
            if undo is None:  # its writes came to nothing
                assert left == before
                break
            assert (await bench.journal(session))["status"] == "undone"
            session = undo


@_SOME
@given(data=st.data())
async def test_with_people_in_between(
    postgres: PostgresServer, bench_product: ServedProduct, data: st.DataObject
) -> None:
    """The undo is refused and changes nothing, or keeps what others did; an undo can be undone in turn."""
    tables = data.draw(draw_tables())
    theirs = st.one_of(draw_call(tables), draw_act(tables))
    writes = data.draw(
        st.lists(st.one_of(st.tuples(st.just(True), draw_call(tables)), st.tuples(st.just(False), theirs)), max_size=9)
    )
    async with open_bench(postgres, bench_product, tables) as bench:
        agent = await bench.agent()
        sessions: set[str] = set()
        for is_agent, write in writes:
            if is_agent and isinstance(write, AgentCall):
                await act(agent, write, sessions)
            else:
                await interfere(bench, write)
        if not sessions:
            return
        (session,) = sessions
        digests = await digest_tables(bench.dsn)
        refused = await request_undo(bench, session)
        if refused.status_code == 409:
            assert refused.json()["conflicts"]
            assert await digest_tables(bench.dsn) == digests
            undo = await undo_and_check(bench, session, "skip")
        else:
            assert refused.status_code == 200, refused.text
            undo = refused.json()["undoSessionId"]
        if undo is not None:
            await undo_and_check(bench, undo)
        assert await digest_tables(bench.dsn) == digests
