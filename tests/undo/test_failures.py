"""Errors of the project's database that have other reasons than the rows are reported as such, without waiting."""

import asyncio

import pytest
from psycopg import sql

from basewarden.undo.direct.apply import explain_error
from basewarden.undo.errors import ProjectExhausted, ProjectFailed, UndoTimedOut, UndoTooComplex
from basewarden.undo.execution.failures import ConcurrentChange, PlanRejected
from pgrest.errors import DatabaseError, DatabaseErrorFields
from tests.fixtures.bench import OWNER, Bench, BenchAgent, Workshop
from tests.undo.test_service import request_undo


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench("CREATE TABLE t (id int PRIMARY KEY, x text);\nINSERT INTO t VALUES (1, 'a'), (2, 'b')")


async def set_default(bench: Bench, setting: str) -> None:
    """Applies to every database connection that is opened from now on."""
    (row,) = await bench.rows("SELECT current_database() AS name")
    await bench.admin.execute(sql.SQL("ALTER DATABASE {} SET " + setting).format(sql.Identifier(row["name"])))
    await bench.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


async def test_a_read_only_database_is_a_clear_refusal(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/t?id=eq.1", {"x": "wrecked"})).session_id
    await set_default(bench, "default_transaction_read_only = on")
    assert (await request_undo(bench, session, "preview")).status_code == 200
    answer = await request_undo(bench, session)
    assert (answer.status_code, answer.json()["code"]) == (409, "project_read_only")
    page = await bench.person.post(f"/c/{bench.connection_id}/sessions/{session}/undo")
    assert page.status_code == 422
    assert "is read-only" in page.text
    assert (await bench.journal(session))["status"] == "active"


async def test_a_statement_timeout_is_a_clear_refusal(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/t?id=eq.1", {"x": "wrecked"})).session_id
    await set_default(bench, "statement_timeout = '300ms'")
    async with bench.admin.transaction(force_rollback=True):
        await bench.run("LOCK TABLE t")
        for mode in ("preview", "apply"):
            answer = await request_undo(bench, session, mode)
            assert (answer.status_code, answer.json()["code"]) == (504, "query_timeout")
        page = await bench.person.get(f"/c/{bench.connection_id}/sessions/{session}/undo")
        assert page.status_code == 504
        assert "time limit" in page.text
    assert (await request_undo(bench, session)).json()["reverted"] == 1


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("57014", UndoTimedOut),
        ("53100", ProjectExhausted),
        ("54001", UndoTooComplex),
        ("XX000", ProjectFailed),
        ("40P01", ConcurrentChange),
        ("23505", PlanRejected),
    ],
)
def test_no_error_explains_itself(sqlstate: str, kind: type[Exception]) -> None:
    error = DatabaseError(DatabaseErrorFields(sqlstate, "said the server"))
    explained = explain_error(error)
    assert type(explained) is kind
    assert explained is not error


async def test_locked_rows_are_reported_within_the_lock_timeout(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/t?id=gt.0", {"x": "wrecked"})).session_id
    async with bench.admin.transaction(force_rollback=True):
        await bench.run("UPDATE t SET x = x WHERE id = 2")
        async with asyncio.timeout(25):
            answer = await request_undo(bench, session)
        assert (answer.status_code, answer.json()["code"]) == (409, "rows_locked")
    assert (await request_undo(bench, session)).json()["reverted"] == 2


async def test_the_owner_signs_in_as_one_whose_limits_count(bench: Bench) -> None:
    """The settings above reach the connection's role; a superuser's would pass some of them."""
    assert [
        row["rolsuper"] for row in await bench.rows(f"SELECT rolsuper FROM pg_roles WHERE rolname = '{OWNER}'")
    ] == [False]
