"""Random requests of an agent on random tables, by the road that agents take; then the undo over HTTP."""

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
from tests.undo.test_service import press
from tests.undo.worlds import STAMP, TYPES, Act, TablePlan, draw_act, draw_tables

_TWICE = "21000"  # one INSERT merges into the same row twice; PostgREST answers that with 500

_SOME = settings(
    max_examples=int(os.environ.get("UNDO_EXAMPLES", "15")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@asynccontextmanager
async def open_bench(postgres: PostgresServer, product: ServedProduct, tables: list[TablePlan]) -> AsyncIterator[Bench]:
    """A person, a database and a connection for one example, and nothing of them left after it."""
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
    """What the database refuses did not happen; anything else must be told apart from that."""
    answer = await client.request(call.method, base + call.path, json=call.body, headers=call.headers)
    assert answer.status_code < 500 or answer.json()["code"] == _TWICE, (call, answer.status_code, answer.text)
    return answer


async def act(agent: BenchAgent, call: AgentCall, sessions: set[str]) -> None:
    answer = await send(agent.http, "", call)
    if answer.is_success and (session := answer.headers.get("x-basewarden-session")):
        sessions.add(session)


async def interfere(bench: Bench, journaled: AgentCall | Act) -> None:
    """A member by the product, or somebody who has the database's own password."""
    if isinstance(journaled, AgentCall):
        await send(bench.person, f"/api/v/{bench.connection_id}/rest/v1", journaled)
    else:
        with suppress(psycopg.DatabaseError):
            await bench.run(journaled.sql)


async def take_back(bench: Bench, session: str, on_conflict: str = "refuse") -> str | None:
    """The preview changes nothing and tells what apply then does. Returns the undo's session."""
    standing = await digest_tables(bench.dsn)
    foretold = await press(bench, session, "preview")
    assert foretold.status_code == 200, foretold.text
    assert await digest_tables(bench.dsn) == standing
    done = await press(bench, session, onConflict=on_conflict)
    assert done.status_code == 200, done.text
    assert done.json()["planned"] == foretold.json()["planned"]
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
            undo = await take_back(bench, session)
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
    """Refused and nothing changed, or taken back around what the others did; either can be taken back in turn."""
    tables = data.draw(draw_tables())
    theirs = st.one_of(draw_call(tables), draw_act(tables))
    deeds = data.draw(
        st.lists(st.one_of(st.tuples(st.just(True), draw_call(tables)), st.tuples(st.just(False), theirs)), max_size=9)
    )
    async with open_bench(postgres, bench_product, tables) as bench:
        agent = await bench.agent()
        sessions: set[str] = set()
        for is_agent, journaled in deeds:
            if is_agent and isinstance(journaled, AgentCall):
                await act(agent, journaled, sessions)
            else:
                await interfere(bench, journaled)
        if not sessions:
            return
        (session,) = sessions
        standing = await digest_tables(bench.dsn)
        refused = await press(bench, session)
        if refused.status_code == 409:
            assert refused.json()["conflicts"]
            assert await digest_tables(bench.dsn) == standing
            undo = await take_back(bench, session, "skip")
        else:
            assert refused.status_code == 200, refused.text
            undo = refused.json()["undoSessionId"]
        if undo is not None:
            await take_back(bench, undo)
        assert await digest_tables(bench.dsn) == standing
