"""An undo that is interrupted around its COMMIT is resolved correctly by the next preview or undo."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from basewarden.db import Database, Listener
from basewarden.gateway import Projects
from basewarden.journal import Image, Reconciler, Recorded, Recorder, RowChange, SessionCaller, WriteEntry
from basewarden.undo import Undo, UndoActor
from basewarden.undo.errors import UndoUnsettled
from tests.fixtures.bench import Bench, BenchAgent, Workshop
from tests.undo.test_service import request_undo

ACTOR = UndoActor(UUID(int=1), "Somebody")


class Severing(Recorder):
    """Records the write; then the project's server ends the connection that is about to commit."""

    bench: Bench

    async def record(self, entry: WriteEntry) -> Recorded:
        recorded = await super().record(entry)
        await self.bench.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state = 'idle in transaction'"
        )
        return recorded


class DyingRecorder(Recorder):
    """The process ends right after COMMIT, before it could update the journal."""

    def mark(self, *_: object) -> None:
        raise asyncio.CancelledError


@asynccontextmanager
async def make_undo(bench: Bench, recorder: Recorder) -> AsyncIterator[Undo]:
    registry = bench.product.registry
    await recorder.start()
    projects = registry.get(Projects)
    yield Undo(
        registry.get(Database),
        registry.get(Listener),
        projects,
        recorder,
        registry.get(Reconciler),
        find_api_access=projects.find_api_access,
    )
    await recorder.stop()


def make_recorder(bench: Bench, kind: type[Recorder]) -> Recorder:
    recorder = kind(bench.product.settings.database_url, bench.product.registry.get(Listener))
    recorder.__dict__["bench"] = bench
    return recorder


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench("CREATE TABLE t (id int PRIMARY KEY, x text);\nINSERT INTO t VALUES (1, 'a'), (2, 'b')")


async def test_cut_off_before_commit_nothing_happened_and_it_can_be_pressed_again(
    bench: Bench, agent: BenchAgent
) -> None:
    session = (await agent.write("PATCH", "/t?id=gt.0", {"x": "wrecked"})).session_id
    async with make_undo(bench, make_recorder(bench, Severing)) as undo:
        with pytest.raises(UndoUnsettled):
            await undo.apply(UUID(bench.connection_id), UUID(session), ACTOR)
    assert {row["x"] for row in await bench.rows("SELECT x FROM t")} == {"wrecked"}
    assert (await bench.journal(session))["status"] == "active"
    assert (await request_undo(bench, session)).status_code == 200
    assert {row["x"] for row in await bench.rows("SELECT x FROM t")} == {"a", "b"}


async def test_cut_off_after_commit_it_counts(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/t?id=gt.0", {"x": "wrecked"})).session_id
    async with make_undo(bench, make_recorder(bench, DyingRecorder)) as undo:
        with pytest.raises(asyncio.CancelledError):
            await undo.apply(UUID(bench.connection_id), UUID(session), ACTOR)
    assert {row["x"] for row in await bench.rows("SELECT x FROM t")} == {"a", "b"}
    answer = await request_undo(bench, session)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_undone")
    assert (await bench.journal(session))["status"] == "undone"
    undone = await bench.journal(answer.json()["details"]["undoSessionId"])
    assert [one["state"] for one in undone["mutations"]] == ["committed", "committed"]


async def undo_and_die(bench: Bench, session: str) -> str:
    """Returns the undo whose process ended right after its COMMIT."""
    async with make_undo(bench, make_recorder(bench, DyingRecorder)) as undo:
        with pytest.raises(asyncio.CancelledError):
            await undo.apply(UUID(bench.connection_id), UUID(session), ACTOR)
    return next(str(one["id"]) for one in await bench.sessions() if one["undoOf"] == session)


async def test_what_a_dead_undo_did_is_undone_before_anyone_looks(bench: Bench, agent: BenchAgent) -> None:
    """Once it is resolved, the session is not undone, since its undo was."""
    session = (await agent.write("PATCH", "/t?id=gt.0", {"x": "wrecked"})).session_id
    undo = await undo_and_die(bench, session)
    assert (await request_undo(bench, undo)).status_code == 200
    assert {row["x"] for row in await bench.rows("SELECT x FROM t")} == {"wrecked"}
    assert (await request_undo(bench, session)).json()["reverted"] == 2
    assert {row["x"] for row in await bench.rows("SELECT x FROM t")} == {"a", "b"}


async def test_a_dead_redo_is_resolved_by_an_undo_of_the_session(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/t?id=gt.0", {"x": "wrecked"})).session_id
    undo = (await request_undo(bench, session)).json()["undoSessionId"]
    await undo_and_die(bench, undo)
    assert {row["x"] for row in await bench.rows("SELECT x FROM t")} == {"wrecked"}
    assert (await request_undo(bench, session)).json()["reverted"] == 2
    assert {row["x"] for row in await bench.rows("SELECT x FROM t")} == {"a", "b"}
    assert (await bench.journal(session))["status"] == "undone"


async def test_a_write_that_is_still_under_way(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/t?id=eq.1", {"x": "wrecked"})).session_id
    async with bench.admin.transaction(force_rollback=True):
        (row,) = await bench.rows("SELECT pg_current_xact_id()::text AS xid")
        caller = SessionCaller(UUID(bench.connection_id), "agent", UUID(agent.id), "Robot")
        change = RowChange("public", "t", "delete", ("id",), Image({"id": "2", "x": "b"}, b'{"id":2,"x":"b"}'), None)
        entry = WriteEntry(
            caller, int(row["xid"]), "delete", "public", "t", "DELETE t", (change,), session_id=UUID(session)
        )
        await bench.product.registry.get(Recorder).record(entry)
        assert (await request_undo(bench, session, "preview")).json()["planned"] == 1
        answer = await request_undo(bench, session)
        assert (answer.status_code, answer.json()["code"]) == (409, "session_pending")
        assert (await bench.journal(session))["status"] == "active"
    assert (await request_undo(bench, session)).json()["reverted"] == 1
    assert {row["x"] for row in await bench.rows("SELECT x FROM t")} == {"a", "b"}
