"""Random writes on random tables over an API, then the undo: everything is back, byte by byte, or it is said what is not."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from basewarden.journal import Recorder
from basewarden.undo import RowConflict
from basewarden.undo.errors import UndoConflict
from pgrest import PgrestError
from tests.api_backend.api_bench import ApiBench, open_api_bench
from tests.chaos.worlds import AgentCall
from tests.fixtures.journal import JournalDatabase
from tests.fixtures.postgres import PostgresServer
from tests.undo.calls import draw_call
from tests.undo.worlds import STAMP, TYPES, Act, TablePlan, draw_act, draw_tables

_SOME = settings(
    max_examples=int(os.environ.get("API_BACKEND_EXAMPLES", "8")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# What cannot go back over an API, and is said to be so.
_STATED = ("This row and others refer to each other", "This JSON cannot be restored", "A row that it depends on")
_STAMPED = "stamped"


def is_stated(conflict: RowConflict) -> bool:
    """A row that was deleted and put there again is one that was changed: then its stamp is no trigger's alone."""
    is_trigger_set = conflict.columns == (_STAMPED,) and conflict.reason.startswith("A trigger prevents")
    return is_trigger_set or conflict.reason.startswith(_STATED)


@asynccontextmanager
async def open_world(
    postgres: PostgresServer, journal: JournalDatabase, recorder: Recorder, tables: list[TablePlan]
) -> AsyncIterator[ApiBench]:
    """A database behind its API for one example."""
    dsn = await postgres.create_database()
    try:
        script = "\n".join([TYPES, STAMP, *(table.ddl() for table in tables)])
        async with open_api_bench(dsn, script, journal, recorder, PGRST_DB_CHANNEL_ENABLED="false") as bench:
            yield bench
    finally:
        await postgres.drop_database(dsn)


async def send(bench: ApiBench, call: AgentCall) -> bool:
    """What is refused did not happen. Whether it did."""
    prefer = call.headers["prefer"].replace(",tx=rollback", "")
    try:
        answer = await bench.write(call.method, call.path, call.body, prefer=prefer)
    except PgrestError:
        return False
    assert answer.response.status < 500 or b'"21000"' in answer.response.body, (call, answer)
    return answer.response.status < 300


async def digest(bench: ApiBench, tables: list[TablePlan]) -> dict[str, list[str]]:
    """Rows as PostgreSQL writes them; a time that triggers stamp they would stamp again."""
    return {
        f"t{table.number}": [
            row["row"]
            for row in await bench.rows(
                f"SELECT (to_jsonb(t) - '{_STAMPED if table.is_stamped else '-'}')::text"
                f" || (SELECT string_agg(v, ',') FROM unnest(ARRAY[{_columns(table)}]) v) AS row"
                f" FROM t{table.number} t ORDER BY 1"
            )
        ]
        for table in tables
    }


def _columns(table: TablePlan) -> str:
    return ", ".join(f"coalesce(quote_literal(c{place}::text), 'NULL')" for place in range(len(table.columns)))


async def take_back(bench: ApiBench, session: Any, tables: list[TablePlan]) -> Any:
    """Refused with stated reasons and nothing changed, or done; then what goes. Returns the undo's session."""
    standing = await digest(bench, tables)
    foretold = await bench.preview(session)
    assert await digest(bench, tables) == standing
    try:
        receipt = await bench.undo(session)
    except UndoConflict:
        assert await digest(bench, tables) == standing
        receipt = await bench.undo(session, "skip")
    assert receipt.planned == foretold.planned
    assert receipt.reverted + receipt.skipped + receipt.already_reverted == receipt.planned
    return receipt


@_SOME
@given(data=st.data())
async def test_an_agents_session_alone(
    postgres: PostgresServer, shared_journal: JournalDatabase, shared_recorder: Recorder, data: st.DataObject
) -> None:
    tables = data.draw(draw_tables())
    calls = data.draw(st.lists(draw_call(tables), min_size=1, max_size=8))
    async with open_world(postgres, shared_journal, shared_recorder, tables) as bench:
        before = await digest(bench, tables)
        for call in calls:
            await send(bench, call)
        left = await digest(bench, tables)
        if not await bench.has_session():
            assert left == before
            return
        session = await bench.session_id()
        for expected in (before, left, before):
            receipt = await take_back(bench, session, tables)
            if receipt.conflicts:
                assert all(map(is_stated, receipt.conflicts)), receipt.conflicts
                return
            assert await digest(bench, tables) == expected
            if receipt.undo_session_id is None:  # its writes came to nothing
                assert left == before
                return
            session = receipt.undo_session_id


@_SOME
@given(data=st.data())
async def test_with_people_in_between(
    postgres: PostgresServer, shared_journal: JournalDatabase, shared_recorder: Recorder, data: st.DataObject
) -> None:
    """Taken back around what the others did, or refused; what was done can be taken back in turn."""
    tables = data.draw(draw_tables())
    deeds = data.draw(st.lists(st.one_of(draw_call(tables), draw_act(tables)), max_size=9))
    async with open_world(postgres, shared_journal, shared_recorder, tables) as bench:
        for journaled in deeds:
            if isinstance(journaled, Act):
                with suppress(psycopg.DatabaseError):
                    await bench.run(journaled.sql)
            else:
                await send(bench, journaled)
        if not await bench.has_session():
            return
        standing = await digest(bench, tables)
        receipt = await take_back(bench, await bench.session_id(), tables)
        if receipt.undo_session_id is None:
            assert await digest(bench, tables) == standing
            return
        again = await take_back(bench, receipt.undo_session_id, tables)
        if not again.conflicts:
            assert await digest(bench, tables) == standing
