"""Images keep every value of every type, whatever the project's database thinks dates look like."""

from typing import Any

import pytest

from tests.fixtures.bench import GUEST, Bench, Workshop

_PLAIN: dict[str, str] = {}
_UNUSUAL = {
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "0",
}

# type, then literals as PostgreSQL takes them and the exact text that the journal must keep
_VALUES: dict[str, dict[str, str]] = {
    "numeric": {
        "NaN": "NaN",
        "Infinity": "Infinity",
        "-Infinity": "-Infinity",
        "1.50": "1.50",
        "1e-400": "0." + "0" * 399 + "1",
        "12345678901234567890.123456789012345678901234567890": "12345678901234567890.123456789012345678901234567890",
    },
    "float8": {
        "NaN": "NaN",
        "-Infinity": "-Infinity",
        "-0": "-0",
        "0.1": "0.1",
        "5e-324": "5e-324",
        "0.30000000000000004": "0.30000000000000004",
    },
    "float4": {"1.1": "1.1", "-0": "-0"},
    "int8": {"9223372036854775807": "9223372036854775807", "-9223372036854775808": "-9223372036854775808"},
    "money": {"-1234.50": "-$1,234.50"},
    "bool": {"t": "t", "f": "f"},
    "text": {"": "", "a\tb\nc \\ \"'{},": "a\tb\nc \\ \"'{},", "NULL": "NULL"},
    "char(4)": {"ab": "ab  "},
    "varchar(9)": {"ab ": "ab "},
    '"char"': {"x": "x"},
    "name": {"n": "n"},
    "bytea": {"\\x00ff5c27": "\\x00ff5c27"},
    "bit(5)": {"10101": "10101"},
    "varbit": {"": "", "101": "101"},
    "date": {
        "2026-03-04": "2026-03-04",
        "infinity": "infinity",
        "0044-03-15 BC": "0044-03-15 BC",
        "5874897-12-31": "5874897-12-31",
    },
    "timestamp": {"2026-03-04 05:06:07.123456": "2026-03-04 05:06:07.123456", "-infinity": "-infinity"},
    "timestamptz": {"2026-03-04 05:06:07+02": "2026-03-04 03:06:07+00", "infinity": "infinity"},
    "time": {"24:00:00": "24:00:00"},
    "timetz": {"01:02:03-03:30": "01:02:03-03:30"},
    "interval": {
        "1 year -2 days 3 hours": "1 year -2 days +03:00:00",
        "-1 mon": "-1 mons",
        "infinity": "infinity",
    },
    "uuid": {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    "json": {
        '{"a": 1,  "a": 2}': '{"a": 1,  "a": 2}',
        '"\\u0000"': '"\\u0000"',
        "null": "null",
        "12345678901234567890.10": "12345678901234567890.10",
    },
    "jsonb": {'{"b":1, "a": 1.50}': '{"a": 1.50, "b": 1}', "null": "null"},
    "inet": {"10.0.0.1/8": "10.0.0.1/8", "::1": "::1"},
    "cidr": {"10.0.0.0/8": "10.0.0.0/8"},
    "macaddr": {"08:00:2b:01:02:03": "08:00:2b:01:02:03"},
    "tsvector": {"'it''s':1A fat:2": "'fat':2 'it''s':1A"},
    "tsquery": {"a & !b": "'a' & !'b'"},
    "int4[]": {"{1,NULL,3}": "{1,NULL,3}", "[0:1]={1,2}": "[0:1]={1,2}", "{}": "{}", "{{1,2},{3,4}}": "{{1,2},{3,4}}"},
    "text[]": {'{"",NULL,"NULL","a,b\\"c\\\\"}': '{"",NULL,"NULL","a,b\\"c\\\\"}'},
    "timestamptz[]": {'{"2026-03-04 05:06:07+02"}': '{"2026-03-04 03:06:07+00"}'},
    "int4range": {"[1,5]": "[1,6)", "empty": "empty", "(,)": "(,)"},
    "daterange": {"[2026-03-04,infinity)": "[2026-03-04,infinity)"},
    "nummultirange": {"{[1,2),(3,)}": "{[1,2),(3,)}"},
    "point": {"(1.5,-0)": "(1.5,-0)"},
    "box": {"(1,1),(0,0)": "(1,1),(0,0)"},
    "pg_lsn": {"16/B374D848": "16/B374D848"},
    "mood": {"so 'so'": "so 'so'"},
    "pair": {'(1,"a ""b"", c")': '(1,"a ""b"", c")', "(,)": "(,)"},
    "positive": {"5": "5"},
}
_TYPES = """
    CREATE TYPE mood AS ENUM ('so ''so''', 'good');
    CREATE TYPE pair AS (n int, t text);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
"""


def _quoted(literal: str) -> str:
    return "'" + literal.replace("'", "''") + "'"


async def _make_bench(workshop: Workshop, settings: dict[str, str]) -> Bench:
    rows = [(kind, given) for kind, texts in _VALUES.items() for given in texts]
    columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(_VALUES))
    kinds = list(_VALUES)
    inserts = "".join(
        f"SET datestyle = 'ISO, MDY'; INSERT INTO every (id, c{kinds.index(kind)}) VALUES ({n}, {_quoted(given)});"
        for n, (kind, given) in enumerate(rows)
    )
    return await workshop.bench(
        f"{_TYPES} SET intervalstyle = 'postgres'; CREATE TABLE every (id int PRIMARY KEY, {columns}, touched int);"
        f"{inserts}",
        settings=settings,
    )


@pytest.mark.parametrize("settings", [_PLAIN, _UNUSUAL], ids=["plain", "unusual"])
async def test_exact_text_of_every_type(workshop: Workshop, settings: dict[str, str]) -> None:
    bench = await _make_bench(workshop, settings)
    agent = await bench.agent()
    expected = [(f"c{n}", text) for n, texts in enumerate(_VALUES.values()) for text in texts.values()]
    updated = await agent.write("PATCH", "/every?id=gte.0", {"touched": 1}, prefer="return=minimal")
    before = {int(one["beforeExact"]["id"]): one["beforeExact"] for one in updated.changes}
    after = {int(one["afterExact"]["id"]): one["afterExact"] for one in updated.changes}
    kept = [(column, before[n][column]) for n, (column, _) in enumerate(expected)]
    assert kept == expected
    assert [(column, after[n][column]) for n, (column, _) in enumerate(expected)] == expected
    nulls = {column: value for column, value in before[0].items() if column not in ("id", "c0")}
    assert set(nulls.values()) == {None}


async def test_json_null_is_not_sql_null(workshop: Workshop) -> None:
    bench = await workshop.bench("CREATE TABLE j (id int PRIMARY KEY, a json, b jsonb)")
    written = await (await bench.agent()).write("POST", "/j", '[{"id": 1, "a": null}, {"id": 2, "a": null}]')
    assert [one["afterExact"]["a"] for one in written.changes] == [None, None]
    await bench.run("INSERT INTO j VALUES (3, 'null', 'null')")
    gone = await (await bench.agent()).write("DELETE", "/j?id=gte.1")
    assert sorted((one["before"]["id"], one["beforeExact"]["a"], one["beforeExact"]["b"]) for one in gone.changes) == [
        (1, None, None),
        (2, None, None),
        (3, "null", "null"),
    ]


async def test_what_is_shown_keeps_every_digit(workshop: Workshop) -> None:
    bench = await workshop.bench("CREATE TABLE n (id int PRIMARY KEY, v numeric)")
    agent = await bench.agent()
    answer = await agent.http.post("/n", content='{"id": 1, "v": 1.00000000000000000000000000000000000010}')
    session = await bench.person.get(
        f"/api/connections/{bench.connection_id}/sessions/{answer.headers['x-basewarden-session']}"
    )
    assert '"v":1.00000000000000000000000000000000000010' in session.text


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("date", "2026-03-04", "2026-04-03"),
        ("timestamptz", "2026-03-04T05:06:07+00:00", "2026-04-03T05:06:07+00:00"),
        ("interval", "1 day", "-1 day"),
        ("tstzrange", "[2026-03-04 00:00+00,2026-03-05 00:00+00)", "[2026-04-03 00:00+00,2026-04-05 00:00+00)"),
        ("float8", "0.1", "0.30000000000000004"),
        ("bytea", "\\x00ff", "\\x27"),
    ],
)
@pytest.mark.parametrize("role", [None, GUEST], ids=["login", "dbRole"])
async def test_keys_whose_text_depends_on_the_session(
    workshop: Workshop, kind: str, first: str, second: str, role: str | None
) -> None:
    """Inserted, merged, changed, renamed and deleted: the journal finds the row each time."""
    bench = await workshop.bench(
        f"""
        CREATE TABLE days (part int, day {kind}, n int, PRIMARY KEY (part, day));
        INSERT INTO days VALUES (9, {_quoted(first)}, 0);
        ALTER TABLE days ENABLE ROW LEVEL SECURITY; CREATE POLICY everyone ON days TO {GUEST} USING (true);
        GRANT SELECT, INSERT, UPDATE, DELETE ON days TO {GUEST};
        """,
        settings={**_UNUSUAL, "extra_float_digits": "1"},
    )
    agent = await bench.agent(dbRole=role)
    row: dict[str, Any] = {"part": 1, "day": first, "n": 1}

    async def change(method: str, path: str, body: Any = None, prefer: str = "return=minimal") -> list[tuple[Any, Any]]:
        written = await agent.write(method, path, body, prefer=prefer)
        return [(before and before["n"], after and after["n"]) for *_, before, after in written.row_changes()]

    assert await change("POST", "/days", row) == [(None, 1)]
    assert await change("POST", "/days", {**row, "n": 2}, "resolution=merge-duplicates") == [(1, 2)]
    assert await change("PATCH", "/days?part=eq.1", {"n": 3}) == [(2, 3)]
    assert await change("PATCH", "/days?part=eq.1", {"day": second, "n": 4}) == [(3, 4)]
    assert await change("DELETE", "/days?part=eq.1") == [(4, None)]
    assert await bench.rows("SELECT part, n FROM days") == [{"part": 9, "n": 0}]


async def test_a_filter_on_time_means_what_the_callers_timezone_says(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE t (id int PRIMARY KEY, at timestamptz, n int);
        INSERT INTO t VALUES (1, '2026-01-01 00:00+00', 0), (2, '2025-12-31 15:00+00', 0);
    """)
    agent = await bench.agent()
    written = await agent.write(
        "PATCH", "/t?at=eq.2026-01-01T00:00:00", {"n": 1}, prefer="timezone=Asia/Tokyo,return=representation"
    )
    assert [one["before"]["id"] for one in written.changes] == [2]
    assert [one["id"] for one in written.answer.json()] == [2]


async def test_answers_keep_the_projects_own_output(workshop: Workshop) -> None:
    bench = await workshop.bench(
        "CREATE TABLE t (id int PRIMARY KEY, b bytea, f float8, i interval, d daterange, at timestamptz)",
        settings=_UNUSUAL,
    )
    agent = await bench.agent()
    row = {"id": 1, "b": "\\x6162", "f": 0.30000000000000004, "i": "1 02:00:00", "d": "[04.03.2026,05.03.2026)"}
    written = await agent.write("POST", "/t", {**row, "at": "2026-01-01T00:00:00Z"})
    read = (await agent.http.get("/t")).json()
    assert written.answer.json() == read
    assert (read[0]["b"], read[0]["d"], read[0]["at"]) == ("ab", "[04.03.2026,05.03.2026)", "2026-01-01T05:45:00+05:45")


async def test_formats_that_a_function_left_behind_are_in_no_image(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE t (id int PRIMARY KEY, at date, length interval, n int);
        INSERT INTO t VALUES (1, '2026-03-02', '1 day 02:00', 0);
        CREATE FUNCTION change() RETURNS void LANGUAGE sql AS
            'SELECT set_config(''datestyle'', ''SQL, DMY'', false), set_config(''intervalstyle'', ''sql_standard'', false)';
    """)
    agent = await bench.agent()
    for number in range(1, 4):
        await agent.http.post("/rpc/change", json={})
        written = await agent.write("PATCH", "/t?id=eq.1", {"n": number})
        assert written.changes[0]["beforeExact"] == {
            "id": "1", "at": "2026-03-02", "length": "1 day 02:00:00", "n": str(number - 1),
        }  # fmt: skip
