"""Images over an API are exactly those of the direct backend: a project may get a Postgres connection string later."""

import asyncio
import json

import pytest

from basewarden.gateway.api.row_images import decode_rows, read_apart
from basewarden.gateway.direct.row_images import AS_OWNER, read_images, select_images
from basewarden.gateway.errors import CaptureNotVisible
from basewarden.journal import Image
from pgrest import Builder, DbConnection, Statement
from tests.api_backend.api_bench import ApiBench
from tests.api_backend.conftest import OpenProject
from tests.fixtures.bench import GUEST

TYPES = """
    CREATE TYPE mood AS ENUM ('ok', 'not "ok"');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN posint AS int CHECK (VALUE > 0);
"""
# Type, then values as SQL.
VALUES = {
    "smallint": ["-32768"],
    "bigint": ["9007199254740993"],
    "numeric": ["'NaN'", "'Infinity'", "1.000000000000000000000000000000000000010", "1e-20", "-0.0"],
    "numeric(8,3)": ["1.5"],
    "real": ["0.1", "'-Infinity'"],
    "double precision": ["'NaN'", "'-0'", "1e300", "0.1", "123456789012345678"],
    "money": ["12.34"],
    "boolean": ["true", "false"],
    "text": ["''", "'NULL'", "'true'", r"E'tab\\t \\\\ \\n\\u2028 \\U0001F600 \"q\"'", "'null'", "'[1]'"],
    "char(5)": ["'ab'"],
    '"char"': ["'x'"],
    "varchar(10)": ["' x '"],
    "name": ["'n'"],
    "uuid": ["'00000000-0000-4000-8000-000000000001'"],
    "bytea": [r"'\\x00ff'", "''"],
    "bit(4)": ["B'0101'"],
    "bit varying": ["B'1'"],
    "inet": ["'10.0.0.1'", "'10.0.0.1/8'", "'::1'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "date": ["'infinity'", "'0044-03-15 BC'", "'2026-02-03'"],
    "time": ["'23:59:59.999999'"],
    "timetz": ["'10:00+02'"],
    "timestamp": ["'2026-01-02 03:04:05.5'", "'-infinity'", "'0001-01-01 BC'"],
    "timestamptz": ["'2026-01-02 03:04:05+02'", "'infinity'", "'12345-01-01 00:00+00'"],
    "interval": ["'1 year -2 days 03:04:05.6'"],
    "json": ["'null'", """'{"a":  1, "a": 2}'""", "'\"x\"'", "'1.0'"],
    "jsonb": ["'null'", """'{"b": 1.50, "a": [null]}'""", "'\"\"'"],
    "point": ["'(1,2.5)'"],
    "box": ["'(1,1),(0,0)'"],
    "path": ["'[(0,0),(1,1)]'"],
    "tsvector": ["'a fat cat'"],
    "tsquery": ["'a & b'"],
    "int4range": ["'empty'", "'[1,5)'"],
    "tstzrange": ["'[2026-01-01 00:00+00,)'"],
    "datemultirange": ["'{[2026-01-01,2026-02-01)}'"],
    "text[]": ["'{}'", """'{NULL,"NULL","a,b"}'""", "'[0:1]={a,b}'"],
    "int[]": ["'{{1,2},{3,4}}'"],
    "boolean[]": ["'{t,f,NULL}'"],
    "timestamptz[]": ["'{2026-01-01 00:00+00}'"],
    "jsonb[]": ["""ARRAY['{"a": "b,c"}'::jsonb, 'null']"""],
    "mood": ["'not \"ok\"'"],
    "mood[]": ["'{ok}'"],
    "pair": ["ROW(1, 'a,\"b')", "ROW(NULL, NULL)"],
    "pair[]": ["ARRAY[ROW(1, 'x')::pair]"],
    "posint": ["7"],
    "oid": ["5"],
    "pg_lsn": ["'0/16B3748'"],
}
COLUMNS = [(f"c{place}", kind) for place, kind in enumerate(VALUES)]
ROWS = max(map(len, VALUES.values()))


def make_table() -> str:
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
    lines = [f"CREATE TABLE t (id int PRIMARY KEY, {columns});", "INSERT INTO t (id) VALUES (0);"]
    for row in range(ROWS):
        given = [(name, VALUES[kind][row]) for name, kind in COLUMNS if row < len(VALUES[kind])]
        names, values = ", ".join(name for name, _ in given), ", ".join(value for _, value in given)
        lines.append(f"INSERT INTO t (id, {names}) VALUES ({row + 1}, {values});")
    return "\n".join([TYPES, *lines]).replace("\\\\", "\\")


async def read_direct(bench: ApiBench) -> list[Image]:
    connection = await DbConnection.connect(bench.dsn, prepare=False)
    try:
        schema = await bench.schema()
        select = select_images(Builder(), schema.tables["public", "t"], " ORDER BY bw_row.id", lock=False)
        *_, rows = await connection.run([Statement("BEGIN"), AS_OWNER, select])
        return [row.image for row in read_images(schema.tables["public", "t"], rows)]
    finally:
        await connection.close()


async def test_every_type_is_read_as_by_the_direct_backend_and_is_restored(open_project: OpenProject) -> None:
    bench = await open_project(make_table())
    before, images = await bench.texts("t"), await read_direct(bench)
    assert len(images) == ROWS + 1
    await bench.write("DELETE", "/t?id=gte.0", prefer="return=minimal")
    write = await bench.last()
    by_id = {
        int((exact or {})["id"] or 0): (exact, shown)
        for (exact, _), (_, _, shown, _) in zip(write.exact, write.changes, strict=True)
    }
    for number, image in enumerate(images):
        exact, shown = by_id[number]
        assert exact is not None
        for name, kind in [("id", "int"), *COLUMNS]:
            assert exact[name] == image.exact[name], kind
        assert shown == json.loads(image.shown)
    receipt = await bench.undo(on_conflict="skip")
    lost = {dict(one.primary_key)["id"] for one in receipt.conflicts}
    assert {one.columns for one in receipt.conflicts} == {
        tuple(name for name, kind in COLUMNS if kind in ("json", "jsonb"))
    }
    assert await bench.texts("t") == {
        "t": [row for row in before["t"] if not row.startswith(tuple(f"({one}," for one in lost))]
    }


async def test_a_key_that_may_not_read_is_refused(open_project: OpenProject, bench_roles: None) -> None:
    bench = await open_project(
        f"CREATE TABLE t (id int PRIMARY KEY, x text); GRANT INSERT ON t TO {GUEST}; GRANT USAGE ON SCHEMA public TO {GUEST}",
        PGRST_DB_ANON_ROLE=GUEST,
    )
    with pytest.raises(CaptureNotVisible, match="key may not read"):
        await bench.write("POST", "/t", {"id": 1}, prefer="return=minimal")
    assert await bench.rows("SELECT * FROM t") == []


async def test_another_schema(open_project: OpenProject) -> None:
    """A foreign key from one schema to another is not described: the row is restored, its cascaded rows are not."""
    bench = await open_project(
        """
        CREATE SCHEMA a; CREATE SCHEMA b; CREATE SCHEMA hidden;
        CREATE TABLE a.t (id int PRIMARY KEY, x text);
        CREATE TABLE b.c (id int PRIMARY KEY, t_id int REFERENCES a.t ON DELETE CASCADE);
        CREATE TABLE hidden.c (id int PRIMARY KEY, t_id int REFERENCES a.t ON DELETE CASCADE);
        INSERT INTO a.t VALUES (1, 'x'); INSERT INTO b.c VALUES (2, 1); INSERT INTO hidden.c VALUES (3, 1)
        """,
        PGRST_DB_SCHEMAS="b,a",
    )
    before = await bench.texts("a.t", "b.c")
    answer = await bench.write("DELETE", "/t?id=eq.1", headers={"content-profile": "a"})
    assert answer.response.status == 200
    assert [(table, verb) for table, verb, _, _ in (await bench.last()).changes] == [("t", "delete")]
    assert (await bench.undo()).reverted == 1
    assert await bench.texts("a.t", "b.c") == {**before, "b.c": []}


async def test_many_rows_are_read_while_others_have_their_turns() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    body = b"[" + b",".join([b'{"id":1}'] * 50_000) + b"]"
    assert len(await read_apart(lambda text: [dict(row) for row in decode_rows(text)], body)) == 50_000
    counting.cancel()
    assert turns > 1
