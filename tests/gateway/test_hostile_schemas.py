"""A schema that is made to hide changes from the journal, or names from an agent's list."""

from tests.fixtures.bench import Workshop

_MOODS = """
    CREATE TABLE beside (id int PRIMARY KEY, who text);
    INSERT INTO beside SELECT n, 'x' FROM generate_series(1, 20) n;
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE FUNCTION tell_mood(mood) RETURNS json LANGUAGE plpgsql AS
        $$BEGIN UPDATE public.beside SET who = 'y'; RETURN '"m"'; END$$;
    CREATE CAST (mood AS json) WITH FUNCTION tell_mood(mood);
    CREATE DOMAIN state AS mood;
    CREATE TABLE t (id int PRIMARY KEY, m state);
    INSERT INTO t VALUES (1, 'sad'), (2, 'sad');
"""


async def test_what_a_cast_to_json_changes_is_counted(workshop: Workshop) -> None:
    """Every row that is converted to JSON calls it."""
    bench = await workshop.bench(_MOODS)
    limited, free = await bench.agent(maxRowsPerWrite=3), await bench.agent()
    refused = await limited.http.patch("/t?id=eq.1", json={"m": "happy"})
    assert refused.json()["code"] == "row_limit", refused.text
    assert await bench.rows("SELECT DISTINCT who FROM beside") == [{"who": "x"}]
    written = await free.write("PATCH", "/t?id=eq.1", {"m": "happy"}, prefer="return=minimal")
    assert [one["table"] for one in written.unseen] == ["beside"]


async def test_a_table_that_was_emptied_and_analyzed_is_reported(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE kept (id int PRIMARY KEY);
        INSERT INTO kept SELECT n FROM generate_series(1, 20) n;
        CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql AS
            $$BEGIN TRUNCATE kept; INSERT INTO kept VALUES (1); ANALYZE kept; RETURN 1; END$$;
        CREATE FUNCTION measure() RETURNS int LANGUAGE plpgsql AS $$BEGIN ANALYZE kept; RETURN 1; END$$;
    """)
    limited = await bench.agent(maxRowsPerWrite=3)
    refused = await limited.http.post("/rpc/wipe", json={})
    assert refused.json()["code"] == "row_limit", refused.text
    assert await bench.rows("SELECT count(*) AS n FROM kept") == [{"n": 20}]
    assert (await limited.write("POST", "/rpc/measure", {})).unseen == []
    answer = await bench.person.post(f"/api/v/{bench.connection_id}/rest/v1/rpc/wipe", json={})
    (write,) = (await bench.journal(answer.headers["x-basewarden-session"]))["writes"]
    assert [(one["table"], one.get("emptied")) for one in write["unseen"]] == [("kept", True)]


async def test_an_agent_with_a_list_makes_no_names_of_numbers(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE vault_keys (id int PRIMARY KEY);
        CREATE TABLE orders (id int PRIMARY KEY, note text);
        INSERT INTO orders VALUES (1, 'vault_keys'), (2, 'nothing')
    """)
    number = (await bench.rows("SELECT 'vault_keys'::regclass::oid::int AS oid"))[0]["oid"]
    agent = await bench.agent(tables=["public.orders"])
    for select in ("note::regclass", "note::regtype", "x:note::RegClass", "note::regclass::text", "id::regclass"):
        answers = [await agent.http.get(f"/orders?id=eq.{at}&select={select}") for at in (1, 2)]
        assert {answer.status_code for answer in answers} <= {400, 403}, select
        assert answers[0].json() == answers[1].json(), select
    shown = {"prefer": "return=representation"}
    answer = await agent.http.post("/orders?select=id::regclass", json={"id": number}, headers=shown)
    assert (answer.status_code, answer.json()["code"]) == (403, "table_denied")
    assert (await agent.http.get("/orders?id=eq.1&select=note::name")).json() == [{"note": "vault_keys"}]
    free = await bench.agent()
    assert (await free.http.get("/orders?id=eq.1&select=note::regclass")).json() == [{"note": "vault_keys"}]


async def test_names_of_tables_are_recorded_with_their_schema(workshop: Workshop) -> None:
    """Recorded as the caller names it, `t` might be another table to the undo."""
    bench = await workshop.bench("CREATE TABLE t (id int PRIMARY KEY, c regclass, n regclass[])")
    agent = await bench.agent()
    written = await agent.write("POST", "/t", {"id": 1, "c": "t", "n": ["t"]}, prefer="return=minimal")
    assert written.exact() == [("t", "insert", None, {"id": "1", "c": "public.t", "n": "{public.t}"})]


async def test_a_merged_row_is_not_recorded_as_a_new_one(workshop: Workshop) -> None:
    """An undo would delete what had been there before. The trigger sets the count of what was inserted."""
    bench = await workshop.bench("""
        CREATE TABLE t (id int PRIMARY KEY, e text UNIQUE, x text);
        INSERT INTO t VALUES (1, 'a', 'before');
        CREATE FUNCTION fold() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
            NEW.e := lower(NEW.e);
            IF NEW.x = 'forged' THEN PERFORM set_config('pgrst.inserted', '5', true); END IF;
            RETURN NEW; END$$;
        CREATE TRIGGER fold BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fold();
    """)
    agent = await bench.agent()
    merge = "resolution=merge-duplicates,return=representation"
    forged = {"id": 1, "e": "A", "x": "forged"}
    refused = await agent.http.post("/t?on_conflict=e", json=forged, headers={"prefer": merge})
    assert (refused.status_code, refused.json()["code"]) == (403, "capture_unsupported"), refused.text
    rows = [{"id": 1, "e": "A", "x": "y"}, {"id": 2, "e": "B", "x": "z"}]
    written = await agent.write("POST", "/t?on_conflict=e", rows, prefer=merge)
    assert [verb for _, verb, _, _ in written.row_changes()] == ["update", "insert"]
