"""What triggers put off to the COMMIT is held against the limits, and against an undo's promises, all the same."""

from tests.fixtures.bench import GUEST, Bench, Workshop
from tests.undo.test_service import request_undo

_TABLES = f"""
    CREATE TABLE kept (id int PRIMARY KEY);
    INSERT INTO kept SELECT n FROM generate_series(1, 20) n;
    CREATE TABLE t (id int PRIMARY KEY, n int);
    INSERT INTO t VALUES (1, 0), (2, 0);
    CREATE TABLE side (n int);
    GRANT ALL ON t, side, kept TO {GUEST};
"""
_PUT_OFF = """
    CREATE FUNCTION put_off() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        IF tg_table_name = 't' THEN
            SET CONSTRAINTS ALL DEFERRED;
            INSERT INTO side VALUES (1);
        ELSE
            DELETE FROM kept WHERE id > 1;
        END IF;
        RETURN NULL;
    END$$;
    CREATE CONSTRAINT TRIGGER a AFTER UPDATE ON t
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION put_off();
    CREATE CONSTRAINT TRIGGER b AFTER INSERT ON side
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION put_off();
    CREATE FUNCTION note_it(t) RETURNS int LANGUAGE plpgsql STABLE AS
        $$BEGIN PERFORM set_side(); RETURN 1; END$$;
    CREATE FUNCTION set_side() RETURNS int LANGUAGE plpgsql AS
        $$BEGIN SET CONSTRAINTS ALL DEFERRED; INSERT INTO side VALUES (1); RETURN 1; END$$;
"""


async def count_kept(bench: Bench) -> int:
    return int((await bench.rows("SELECT count(*) AS n FROM kept"))[0]["n"])


async def test_a_trigger_that_defers_once_more_passes_no_limit(workshop: Workshop) -> None:
    bench = await workshop.bench(_TABLES + _PUT_OFF)
    agent = await bench.agent(dbRole=GUEST, maxRowsPerWrite=3)
    answer = await agent.http.patch("/t?id=eq.1", json={"n": 1})
    assert (answer.status_code, answer.json()["code"]) == (403, "capture_unsupported"), answer.text
    assert await bench.rows("SELECT n FROM t WHERE id = 1") == [{"n": 0}]
    assert await count_kept(bench) == 20


async def test_what_code_beside_a_plain_write_puts_off_is_seen(workshop: Workshop) -> None:
    """The written table has no trigger; what a computed column calls writes to one that has."""
    bench = await workshop.bench(_TABLES + _PUT_OFF)
    await bench.run("DROP TRIGGER a ON t")
    agent = await bench.agent(maxRowsPerWrite=30)
    written = await agent.write("PATCH", "/t?id=eq.1&note_it=eq.1", {"n": 1})
    assert {one["table"]: one["deleted"] for one in written.unseen} == {"side": 0, "kept": 19}
    await bench.run(
        "CREATE OR REPLACE FUNCTION put_off() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN SET CONSTRAINTS ALL DEFERRED; UPDATE side SET n = 2; RETURN NULL; END$$"
    )
    await bench.run(
        "CREATE CONSTRAINT TRIGGER c AFTER UPDATE ON side "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION put_off()"
    )
    answer = await agent.http.patch("/t?id=eq.1&note_it=eq.1", json={"n": 2})
    assert answer.json()["code"] == "capture_unsupported", answer.text


async def test_an_undo_that_a_trigger_would_go_on_with_is_refused(workshop: Workshop) -> None:
    bench = await workshop.bench(_TABLES)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/t?id=eq.1", {"n": 1})).session_id
    await bench.run(_PUT_OFF)
    refused = await request_undo(bench, session)
    assert refused.status_code == 409, refused.text
    assert "defers its changes" in refused.text
    assert await count_kept(bench) == 20
    assert await bench.rows("SELECT n FROM t WHERE id = 1") == [{"n": 1}]
