"""Over random triggers, code and requests: what changed is in the journal or counted, and the row limit holds for both.

What changed is found by comparing every table before and after. `FUZZ_EXAMPLES=2000` asks for more than CI does.
"""

import json
import os
from collections import Counter
from collections.abc import AsyncIterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from basewarden.errors import AppError
from basewarden.gateway.direct.capture import capture_write
from basewarden.gateway.direct.context import WriteContext, WriteOutcome
from basewarden.gateway.direct.row_images import AS_OWNER, read_images, select_images
from pgrest import (
    Builder,
    DatabaseError,
    DbConnection,
    PgrestError,
    RestConfig,
    Schema,
    Session,
    Statement,
    WritePlan,
    load_schema,
    parse_request,
    plan_request,
    session_settings,
)
from tests.fixtures.postgres import PostgresServer

_ROLE = "counted_guest"
_MAKE_ROLE = f"DO $$ BEGIN CREATE ROLE {_ROLE}; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
_CONFIG = RestConfig()
_BASE = """
CREATE SCHEMA public;
CREATE TABLE side (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int);
CREATE TABLE other (id int PRIMARY KEY, n int);
INSERT INTO other SELECT g, 0 FROM generate_series(1, 4) g;
INSERT INTO side (n) VALUES (0);
CREATE FUNCTION leave() RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.side (n) VALUES (1); RETURN 1; END';
CREATE FUNCTION quiet(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.leave() = 1; END';
CREATE DOMAIN picky AS int CHECK (quiet(VALUE));
"""
_COLUMNS = {
    "plain": "extra int",
    "default": "extra int DEFAULT leave()",
    "check": "extra int CHECK (quiet(extra))",
    "domain": "extra picky DEFAULT 1",
    "computed": "extra bool GENERATED ALWAYS AS (quiet(id)) STORED",
}
_KEYS = ("int", "float8", "text", "int[]")
_BODIES = {
    "nothing": "",
    "siblings": "UPDATE t SET n = n + 1 WHERE id <> r.id;",
    "itself": "UPDATE t SET n = n + 10 WHERE id = r.id;",
    "a sibling away": "DELETE FROM t WHERE id = (SELECT max(id) FROM t WHERE id <> r.id);",
    "itself away": "DELETE FROM t WHERE id = r.id;",
    "another table": "UPDATE other SET n = n + 1 WHERE id < 3;",
    "an inner block": "BEGIN UPDATE t SET n = n + 5 WHERE id = r.id; EXCEPTION WHEN OTHERS THEN NULL; END;",
    "a failed block": "BEGIN UPDATE other SET n = 7; PERFORM 1 / 0; EXCEPTION WHEN OTHERS THEN NULL; END;",
    "emptied": "TRUNCATE other;",
    "hidden": """CREATE TEMP TABLE IF NOT EXISTS pg_class AS SELECT * FROM pg_catalog.pg_class LIMIT 0;
        UPDATE other SET n = n + 1;""",
}
_REQUESTS = (
    ("POST", "", "return=representation"),
    ("POST", "", "return=minimal"),
    ("POST", "", "resolution=merge-duplicates"),
    ("PATCH", "n=lte.1", "return=representation"),
    ("PATCH", "n=eq.0", "return=minimal"),
    ("DELETE", "n=lte.1", "return=minimal"),
    ("DELETE", "n=eq.0", "return=representation"),
)
State = dict[tuple[str, str], dict[tuple[str, ...], object]]


def _write_key(kind: str, number: int) -> object:
    return {"int": number, "float8": number + 0.1 + 0.2, "text": f"k{number}", "int[]": [number, 0]}[kind]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[str, str]:
    """The kind of key, and the script."""
    kind = draw(st.sampled_from(_KEYS))
    column = draw(st.sampled_from([name for name in _COLUMNS if name != "computed" or kind == "int"]))
    keys = [json.dumps(_write_key(kind, number)).replace("[", "{").replace("]", "}") for number in range(4)]
    rows = ", ".join(f"('{key.strip(chr(34))}', {number})" for number, key in enumerate(keys))
    parts = [_BASE, f"CREATE TABLE t (id {kind} PRIMARY KEY, n int DEFAULT 0, {_COLUMNS[column]});"]
    parts.append(f"INSERT INTO t (id, n) VALUES {rows};")
    for number, body in enumerate(draw(st.lists(st.sampled_from(sorted(_BODIES)), max_size=2))):
        timing, level = draw(st.sampled_from([("AFTER", "NULL"), ("BEFORE", "r")])), draw(st.sampled_from([0, 0, 1]))
        parts.append(f"""CREATE FUNCTION f{number}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            DECLARE r t; BEGIN r := CASE WHEN TG_OP = 'DELETE' THEN old ELSE new END;
            {_BODIES[body]} RETURN {timing[1]}; END $$;
            CREATE TRIGGER g{number} {timing[0]} INSERT OR UPDATE OR DELETE ON t FOR EACH ROW
            WHEN (pg_trigger_depth() <= {level}) EXECUTE FUNCTION f{number}();""")
    if draw(st.booleans()):
        parts.append(
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (quiet(n)) WITH CHECK (true);"
        )
    if draw(st.booleans()):
        parts.append("CREATE INDEX ON t ((quiet(n)));")
    right = draw(st.sampled_from(["ALL", "ALL", "INSERT"]))
    parts.append(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {_ROLE}; REVOKE ALL ON t FROM {_ROLE};")
    parts.append(f"GRANT {right} ON t TO {_ROLE}; GRANT ALL ON SCHEMA public TO {_ROLE};")
    return kind, "\n".join(parts)


@pytest.fixture
async def dsn(postgres: PostgresServer) -> AsyncIterator[str]:
    made = await postgres.create_database()
    await _run(made, _MAKE_ROLE)
    yield made
    await postgres.drop_database(made)


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[DbConnection]:
    opened = await DbConnection.connect(dsn, prepare=False)
    yield opened
    await opened.close()


async def _run(dsn: str, script: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
        await admin.execute(script.encode())


async def _read(connection: DbConnection, schema: Schema) -> State:
    state: State = {}
    for name, table in schema.tables.items():
        select = select_images(Builder(), table, "", lock=False)
        *_, rows, _ = await connection.run([Statement("BEGIN"), AS_OWNER, select, Statement("COMMIT")])
        state[name] = {row.identity: row.image.exact for row in read_images(table, rows)}
    return state


async def _send(
    connection: DbConnection, schema: Schema, role: str | None, request: tuple[str, str, str], body: object, limit: int
) -> WriteOutcome | None:
    """None where it was refused."""
    method, query, prefer = request
    headers = [(b"content-type", b"application/json"), (b"prefer", prefer.encode())]
    content = b"" if method == "DELETE" else json.dumps(body).encode()
    parsed = parse_request(method, "/t", query.encode(), headers, content, config=_CONFIG)
    plan = plan_request(schema, parsed, _CONFIG)
    assert isinstance(plan, WritePlan)
    setting = session_settings(Session(role), parsed, _CONFIG, schema=schema)
    try:
        outcome = await capture_write(WriteContext(connection, schema, (setting,), role, limit), plan)
    except (AppError, DatabaseError, PgrestError) as error:
        await connection.run([Statement("ROLLBACK")])
        if isinstance(error, DatabaseError) and error.sqlstate[:2] in ("XX", "08", "58"):
            raise
        return None
    await connection.run([Statement("COMMIT")])
    return outcome


def _count_changed(before: State, after: State) -> Counter[tuple[str, str]]:
    changed: Counter[tuple[str, str]] = Counter()
    for name in before:
        old, new = before[name], after[name]
        changed[name] = sum(old.get(key) != new.get(key) for key in {*old, *new})
    return changed


def _check(outcome: WriteOutcome, before: State, after: State) -> None:
    recorded: Counter[tuple[str, str]] = Counter()
    for change in outcome.changes:
        name = (change.schema, change.table)
        for image, state in ((change.before, before), (change.after, after)):
            assert image is None or state[name][image.key(change.key_columns)] == image.exact, change
        assert (
            change.before is None
            or change.after is not None
            or change.before.key(change.key_columns) not in after[name]
        )
        recorded[name] += 1
    uncaptured = {(one.schema, one.table): one for one in outcome.uncaptured}
    for name, changed in _count_changed(before, after).items():
        one = uncaptured.get(name)
        counted = 0 if one is None else one.inserted + one.updated + one.deleted
        assert (one is not None and one.emptied) or changed <= recorded[name] + counted, (name, outcome)


_MANY = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "40")), deadline=None, suppress_health_check=list(HealthCheck)
)


@_MANY
@given(data=st.data())
async def test_all_that_changed_is_recorded_or_counted_within_the_limit(
    dsn: str, connection: DbConnection, data: st.DataObject
) -> None:
    kind, script = data.draw(worlds())
    await _run(dsn, f"DROP SCHEMA public CASCADE;\n{script}")
    schema = await load_schema(connection, _CONFIG.schemas, _CONFIG.extra_search_path)
    for _ in range(data.draw(st.integers(1, 3))):
        request, role = data.draw(st.sampled_from(_REQUESTS)), data.draw(st.sampled_from([None, _ROLE]))
        limit = data.draw(st.integers(1, 12))
        numbers = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True))
        rows = [{"id": _write_key(kind, number), "n": number} for number in numbers]
        before = await _read(connection, schema)
        outcome = await _send(connection, schema, role, request, rows if request[0] == "POST" else {"n": 3}, limit)
        after = await _read(connection, schema)
        if outcome is None:
            assert after == before
        else:
            _check(outcome, before, after)
            assert sum(_count_changed(before, after).values()) <= limit
