"""Nothing of one request reaches the next on the same database connection, and a read leaves nothing in the database."""

import pytest

from tests.fixtures.bench import GUEST, Bench, Workshop
from tests.fixtures.waiting import wait_until

_LEFTOVERS = f"""
    CREATE TABLE things (id serial PRIMARY KEY, name text);
    CREATE FUNCTION leave(sets bool, makes bool, locks bool) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
        IF sets THEN
            PERFORM set_config('app.tenant', 'first', false), set_config('search_path', 'pg_temp', false),
                    set_config('statement_timeout', '0', false), set_config('role', '{GUEST}', false);
        END IF;
        IF makes THEN
            EXECUTE 'CREATE TEMP TABLE left_table (id int)';
            EXECUTE 'LISTEN left_channel';
            EXECUTE 'DECLARE left_cursor CURSOR WITH HOLD FOR SELECT 1';
            INSERT INTO things (name) VALUES ('x');
        END IF;
        IF locks THEN PERFORM pg_advisory_lock(77); END IF;
        RETURN pg_backend_pid();
    END $$;
    CREATE FUNCTION look() RETURNS json LANGUAGE plpgsql AS $$ DECLARE drawn text; BEGIN
        BEGIN drawn := lastval()::text; EXCEPTION WHEN object_not_in_prerequisite_state THEN drawn := NULL; END;
        RETURN json_build_object(
            'tenant', nullif(current_setting('app.tenant', true), ''),
            'timeout', (SELECT reset_val = setting FROM pg_settings WHERE name = 'statement_timeout'),
            'tables', to_regclass('pg_temp.left_table') IS NOT NULL,
            'channels', (SELECT count(*) FROM pg_listening_channels()),
            'cursors', (SELECT count(*) FROM pg_cursors WHERE is_holdable),
            'locks', (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
            'drawn', drawn,
            'role', current_setting('role'),
            'process', pg_backend_pid());
    END $$;
    CREATE VIEW sly AS SELECT set_config('app.tenant', 'viewed', false) AS tenant, pg_backend_pid() AS process;
"""
_NOTHING = {"tenant": None, "tables": False, "channels": 0, "cursors": 0, "locks": 0, "drawn": None, "role": "none"}


async def look(bench: Bench, process: int) -> dict[str, object]:
    """What the next caller finds on that db connection, which the check of the schema may have at the moment."""
    other = await bench.agent()

    async def ask() -> dict[str, object]:
        found: dict[str, object] = (await other.http.get("/rpc/look")).json()
        return found

    found = await wait_until(ask, "that db connection", matches=lambda seen: seen.pop("process") == process)
    found.pop("timeout")
    return found


async def call_leave(bench: Bench, method: str, **what: bool) -> int:
    agent = await bench.agent()
    wanted = {"sets": False, "makes": False, "locks": False, **what}
    if method == "GET":
        query = "&".join(f"{name}={str(value).lower()}" for name, value in wanted.items())
        answer = await agent.http.get(f"/rpc/leave?{query}")
    else:
        answer = await agent.http.post("/rpc/leave", json=wanted)
    assert answer.status_code == 200, answer.text
    process: int = answer.json()
    return process


@pytest.mark.parametrize("what", ["sets", "makes", "locks"])
async def test_what_a_writing_function_leaves_is_gone(workshop: Workshop, what: str) -> None:
    bench = await workshop.bench(_LEFTOVERS)
    process = await call_leave(bench, "POST", **{what: True})
    assert await look(bench, process) == _NOTHING


@pytest.mark.parametrize("what", ["sets", "locks"])
async def test_what_a_reading_function_leaves_is_gone(workshop: Workshop, what: str) -> None:
    bench = await workshop.bench(_LEFTOVERS)
    process = await call_leave(bench, "GET", **{what: True})
    assert await look(bench, process) == _NOTHING


async def test_what_a_view_sets_is_gone(workshop: Workshop) -> None:
    bench = await workshop.bench(_LEFTOVERS)
    [row] = (await (await bench.agent()).http.get("/sly")).json()
    assert row["tenant"] == "viewed"
    assert await look(bench, row["process"]) == _NOTHING


async def test_what_a_trigger_leaves_is_gone(workshop: Workshop) -> None:
    bench = await workshop.bench(
        _LEFTOVERS
        + """
        CREATE FUNCTION on_write() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN NEW.name := leave(true, false, true)::text; RETURN NEW; END $$;
        CREATE TRIGGER leaves BEFORE UPDATE ON things FOR EACH ROW EXECUTE FUNCTION on_write();
        INSERT INTO things VALUES (100, 'a');
        """
    )
    agent = await bench.agent()
    written = await agent.write("PATCH", "/things?id=eq.100", {"name": "b"})
    assert await look(bench, int(written.answer.json()[0]["name"])) == _NOTHING


async def test_locks_of_a_transaction_that_fails_are_released(workshop: Workshop) -> None:
    bench = await workshop.bench(
        _LEFTOVERS
        + """CREATE FUNCTION fail() RETURNS int LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_advisory_lock(78); RAISE 'no'; END $$;"""
    )
    agent = await bench.agent()
    for answer in (await agent.http.get("/rpc/fail"), await agent.http.post("/rpc/fail", json={})):
        assert answer.json()["code"] == "P0001"
    assert await bench.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []


async def test_our_own_settings_of_a_connection_outlive_the_reset(workshop: Workshop) -> None:
    bench = await workshop.bench(
        """CREATE FUNCTION mine() RETURNS text LANGUAGE sql AS
           $$ SELECT current_setting('application_name') || ' ' || current_setting('client_encoding') $$"""
    )
    agent = await bench.agent()
    for _ in range(2):
        assert (await agent.http.post("/rpc/mine", json={})).json() == "basewarden UTF8"


async def test_a_login_that_may_not_release_locks_can_read_and_write_all_the_same(workshop: Workshop) -> None:
    bench = await workshop.bench("CREATE TABLE notes (id int PRIMARY KEY, body text)")
    await bench.run("REVOKE EXECUTE ON FUNCTION pg_advisory_unlock_all() FROM PUBLIC")
    agent = await bench.agent()
    assert (await agent.http.post("/notes", json={"id": 1})).status_code == 201
    assert (await agent.http.get("/notes?select=id")).json() == [{"id": 1}]


async def test_a_read_sends_no_notification(workshop: Workshop) -> None:
    """NOTIFY is allowed in READ ONLY transactions and sent when they commit; up to PostgreSQL 15 large objects stay too."""
    bench = await workshop.bench(
        "CREATE FUNCTION ring() RETURNS void LANGUAGE sql AS $$ SELECT pg_notify('bell', 'read') $$"
    )
    await bench.run("LISTEN bell")
    await (await bench.agent(access="read")).http.get("/rpc/ring")
    await bench.run("NOTIFY bell, 'last'")
    heard = [one.payload async for one in bench.admin.notifies(timeout=5, stop_after=1)]
    assert heard == ["last"]


_SWAPS = """
    CREATE TABLE notes (id int PRIMARY KEY, body text);
    INSERT INTO notes VALUES (1, 'x');
    CREATE TABLE seen (who text);
    GRANT ALL ON seen TO PUBLIC;
    CREATE FUNCTION evil() RETURNS text LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO public.seen VALUES (current_user); RETURN 'evil'; END $$;
    CREATE FUNCTION swap(fails boolean DEFAULT false) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
    DECLARE p record; n int := 0; types text; BEGIN
      FOR p IN SELECT name, parameter_types FROM pg_prepared_statements LOOP
        EXECUTE format('DEALLOCATE %I', p.name);
        types := array_to_string(p.parameter_types, ', ');
        EXECUTE format('PREPARE %I %s AS SELECT public.evil()', p.name, CASE WHEN types <> '' THEN '(' || types || ')' ELSE '' END);
        n := n + 1;
      END LOOP;
      IF fails THEN RAISE 'after all'; END IF;
      RETURN n; END $$;
"""


@pytest.mark.parametrize("fails", [False, True])
async def test_prepared_statements_that_a_function_swaps_are_never_run(workshop: Workshop, fails: bool) -> None:
    bench = await workshop.bench(_SWAPS)
    hostile, other = await bench.agent(), await bench.agent()
    for _ in range(3):
        await hostile.http.get("/notes?id=eq.1")
        await hostile.http.patch("/notes?id=eq.1", json={"body": "warm"})
        await hostile.http.post("/rpc/swap", json={"fails": True})
        refused = await hostile.http.post("/rpc/swap", json={"fails": fails})
        assert refused.status_code >= 400
        assert (await other.http.get("/notes?id=eq.1&select=id")).json() == [{"id": 1}]
        written = await other.write("PATCH", "/notes?id=eq.1", {"body": "theirs"})
        assert written.answer.is_success, written.answer.text
    assert await bench.rows("SELECT who FROM seen") == []
