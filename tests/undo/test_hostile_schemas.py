"""Triggers and settings of a project that would make an undo lose rows, or restore other values."""

import pytest

from tests.fixtures.bench import Workshop
from tests.undo.test_safety import texts
from tests.undo.test_service import request_undo


@pytest.mark.parametrize("mode", ["preview", "apply"])
async def test_a_strangers_row_is_not_taken_for_one_that_was_replaced(workshop: Workshop, mode: str) -> None:
    """The trigger deletes a row and inserts another, as an undo does with a row that it may not update."""
    bench = await workshop.bench(
        "CREATE TABLE t (id int PRIMARY KEY, x text);\nINSERT INTO t VALUES (1, 'a'), (2, 'b')"
    )
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/t?id=eq.1", {"x": "new"})).session_id
    await bench.run("""
        CREATE FUNCTION turn_over() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (9, 'history'); RETURN NULL; END$$;
        CREATE TRIGGER turn_over AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION turn_over();
    """)
    answer = await request_undo(bench, session, mode)
    assert "A trigger would delete 1 row of public.t" in answer.text
    assert answer.status_code == (200 if mode == "preview" else 409)
    assert await texts(bench, "t") == ["(1,new)", "(2,b)"]


@pytest.mark.parametrize("settings", [{"array_nulls": "off"}, {"quote_all_identifiers": "on"}])
async def test_settings_of_the_database_change_no_value(workshop: Workshop, settings: dict[str, str]) -> None:
    bench = await workshop.bench(
        """
        CREATE TABLE t (id int PRIMARY KEY, a text, b text, c regclass);
        INSERT INTO t VALUES (1, NULL, 'NULL', 't'), (2, NULL, 'x', 't');
        """,
        settings=settings,
    )
    before = await bench.rows("SELECT * FROM t ORDER BY id")
    agent = await bench.agent()
    for method, body in (("PATCH", {"a": "y", "b": None, "c": None}), ("DELETE", None)):
        label = {"x-basewarden-session": method}
        session = (await agent.write(method, "/t?id=gt.0", body, headers=label)).session_id
        done = await request_undo(bench, session)
        assert (done.status_code, done.json()["reverted"], done.json()["irreversible"]) == (200, 2, []), done.text
        assert await bench.rows("SELECT * FROM t ORDER BY id") == before
