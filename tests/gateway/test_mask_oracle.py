"""Two databases that differ only in hidden values answer every request with the same bytes.

`MASK_EXAMPLES=10000` asks for more than CI does.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.fixtures.bench import BenchAgent, Workshop

_SCHEMA = """
    CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, team int, email text UNIQUE, ssn text,
        spend numeric CHECK (spend > -100000 OR team > 5), notes jsonb, born date,
        mail_host text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED);
    CREATE INDEX ON customers (team, spend); CREATE INDEX ON customers (name, ssn);
    CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customers ON DELETE CASCADE,
        contact text REFERENCES customers (email), state text, price numeric, referrer int REFERENCES customers);
    CREATE INDEX ON orders (state, price);
    CREATE TABLE tags (id int PRIMARY KEY, tag text UNIQUE);
    CREATE TABLE tagged (customer int REFERENCES customers, tag int REFERENCES tags, secret text, PRIMARY KEY (customer, tag));
    CREATE TABLE events (id int, kind text, secret text, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
    CREATE TABLE clicks PARTITION OF events FOR VALUES IN ('click');
    CREATE VIEW names AS SELECT id, name, team FROM customers;
    CREATE VIEW rich AS SELECT id FROM customers WHERE spend > 500;
    CREATE FUNCTION all_customers() RETURNS SETOF customers LANGUAGE sql STABLE AS 'SELECT * FROM customers ORDER BY id';
    CREATE FUNCTION add_order(k int) RETURNS orders LANGUAGE sql AS
        'INSERT INTO orders (id, customer, state, price) VALUES (k, 1, ''new'', 1) RETURNING *';
"""
_FILL = """
    INSERT INTO customers (id, name, team, email, ssn, spend, notes, born)
        SELECT n, chr(65 + n % 7), n % 4, {email}, {ssn}, {spend}, {notes}, {born} FROM generate_series(1, 40) n;
    INSERT INTO orders SELECT n, n % 40 + 1, NULL, chr(97 + n % 3), {spend}, {referrer} FROM generate_series(1, 60) n;
    INSERT INTO tags SELECT n, 't' || n FROM generate_series(1, 5) n;
    INSERT INTO tagged SELECT n, n % 5 + 1, {ssn} FROM generate_series(1, 20) n;
    INSERT INTO events SELECT n, 'click', {ssn} FROM generate_series(1, 20) n;
"""
_ONE = {
    "email": "'c' || n || '@one.example'", "ssn": "'s' || n", "spend": "n * 10", "notes": "'{\"a\": 1}'",
    "born": "date '2000-01-01' + n", "referrer": "n % 40 + 1",
}  # fmt: skip
_OTHER = {
    "email": "CASE WHEN n % 3 > 0 THEN repeat('long ', 200) || (40 - n) || '@other' END",
    "ssn": "CASE WHEN n % 2 > 0 THEN repeat('x', 300) END", "spend": "1000 - n * 25.5", "notes": "NULL::jsonb",
    "born": "NULL::date", "referrer": "CASE WHEN n > 30 THEN 3 END",
}  # fmt: skip
_RULES = {
    "customers": {"email": "mask", "ssn": "deny", "spend": "mask", "notes": "mask", "born": "deny"},
    "orders": {"contact": "mask", "price": "mask", "referrer": "deny"},
    "tagged": {"secret": "mask"},
    "events": {"secret": "deny"},
}
_COLUMNS = {
    "customers": ["id", "name", "team", "email", "ssn", "spend", "notes", "born", "mail_host"],
    "orders": ["id", "customer", "contact", "state", "price", "referrer"],
    "tags": ["id", "tag"],
    "tagged": ["customer", "tag", "secret"],
    "events": ["id", "kind", "secret"],
    "names": ["id", "name", "team"],
    "rich": ["id"],
}
_EMBEDS = {
    "customers": ["orders", "tags", "tagged", "orders!orders_referrer_fkey", "orders!orders_customer_fkey"],
    "orders": ["customers", "customers!contact", "customers!orders_customer_fkey", "customers!referrer"],
    "tags": ["customers", "tagged"],
    "tagged": ["customers", "tags"],
    "names": ["orders"],
}
_ACCEPTS = ["application/json", "text/csv", "application/vnd.pgrst.object+json", "application/vnd.pgrst.plan+json",
            "application/vnd.pgrst.array+json;nulls=stripped", "application/geo+json"]  # fmt: skip
_SHOWN = ("content-range", "location", "content-type", "preference-applied", "content-location")


def _weigh(table: str, *, also: Sequence[str] = ()) -> st.SearchStrategy[str]:
    """Names of columns, those that may be seen more often: what is refused at once shows little."""
    rules = {"mail_host": "mask", **_RULES.get(table, {})}
    seen = [name for name in _COLUMNS[table] if name not in rules]
    masked = [name for name in _COLUMNS[table] if rules.get(name) == "mask"]
    return st.sampled_from([*seen * 6, *masked * 3, *_COLUMNS[table], *also])


@dataclass(frozen=True)
class Asking:
    method: str
    path: str
    headers: dict[str, str]
    body: Any = None


@st.composite
def _fields(draw: st.DrawFn, table: str, depth: int = 0) -> str:
    # where the rows of a table without rules lie, as anybody may see, depends on when its pages were last tidied
    place = ["ctid"] if table in _RULES else []
    names = _weigh(table, also=("*", "*", "*", *place, "count()"))
    parts = []
    for name in draw(st.lists(names, min_size=0, max_size=3)):
        shape = draw(
            st.sampled_from((*["{}"] * 12, "x:{}", "x:{}", "{}::text", "{}->a", "{}->>a", "{}.max()", "{}.count()"))
        )
        parts.append(shape.format(name))
    if depth < 2 and table in _EMBEDS and draw(st.integers(0, 2)) == 0:
        target = draw(st.sampled_from(_EMBEDS[table]))
        form = draw(st.sampled_from(("{}({})", "{}!inner({})", "...{}({})", "y:{}({})")))
        parts.append(form.format(target, draw(_fields(target.partition("!")[0], depth + 1))))
    return ",".join(parts)


@st.composite
def _filters(draw: st.DrawFn, table: str) -> str:
    if draw(st.integers(0, 1)):
        return draw(st.sampled_from(("id=lte.7", "id=eq.3", "id=gt.30", "id=in.(1,2,40)", "or=(id.eq.1,id.gt.35)")))
    column = draw(_weigh(table, also=("xmin", '"*"')))
    operator = draw(
        st.sampled_from(("eq.1", "gt.3", "lt.500", "is.null", "not.is.null", "like.*a*", "in.(1,2,3)", "neq.c1@one.example",
                         "fts.long", "match.x", "isdistinct.s1", "eq(any).{1,2}", "cs.{}"))
    )  # fmt: skip
    form = draw(st.sampled_from(("{}={}", "{}={}", "{}=not.{}", "or=(id.eq.1,{}.{})", "and=({}.{})")))
    return form.format(column, operator)


@st.composite
def _queries(draw: st.DrawFn, table: str) -> list[str]:
    parts = []
    if draw(st.booleans()):
        parts.append(f"select={draw(_fields(table))}")
    parts += draw(st.lists(_filters(table), max_size=2))
    if draw(st.integers(0, 3)) == 0:
        parts.append(f"order={draw(_weigh(table))}{draw(st.sampled_from(('', '.desc', '.nullsfirst')))}")
    if draw(st.integers(0, 8)) == 0 and table in _EMBEDS:
        target = draw(st.sampled_from(_EMBEDS[table])).partition("!")[0]
        column = draw(_weigh(target))
        parts.append(
            draw(st.sampled_from((f"order={target}({column})", f"{target}.{column}=eq.1", f"{target}=is.null")))
        )
    if draw(st.booleans()):
        parts.append(draw(st.sampled_from(("limit=3", "limit=5&offset=2", "offset=1"))))
    return parts


@st.composite
def _headers(draw: st.DrawFn) -> dict[str, str]:
    asked = [
        draw(st.sampled_from(("", "return=representation", "return=headers-only", "return=minimal"))),
        draw(st.sampled_from(("", "", "count=exact", "count=planned", "count=estimated"))),
        draw(
            st.sampled_from(("", "", "resolution=merge-duplicates", "resolution=ignore-duplicates", "missing=default"))
        ),
        draw(st.sampled_from(("", "", "tx=rollback", "tx=rollback", "handling=strict,max-affected=2"))),
    ]
    accept = draw(st.sampled_from(_ACCEPTS)) if draw(st.integers(0, 2)) == 0 else _ACCEPTS[0]
    return {"prefer": ",".join(filter(None, asked)), "accept": accept}


_VALUES = st.one_of(st.none(), st.integers(-3, 70), st.sampled_from(["a", "c1@one.example", "s1", "x", "7"]))


@st.composite
def _bodies(draw: st.DrawFn, table: str) -> Any:
    fitting = st.fixed_dictionaries({}, optional={"id": st.integers(50, 90), "state": st.sampled_from(["a", "z"])})
    named = {"customers": "name", "tags": "tag", "names": "name"}.get(table)
    if draw(st.booleans()):
        return draw(st.fixed_dictionaries({named: st.text("abc", max_size=3)}) if named else fitting)
    rows = st.dictionaries(_weigh(table), _VALUES, max_size=3)
    return draw(rows if draw(st.booleans()) else st.lists(rows, max_size=2))


@st.composite
def askings(draw: st.DrawFn) -> Asking:
    headers = draw(_headers())
    if draw(st.integers(0, 7)) == 0:
        name = draw(st.sampled_from(("all_customers", "add_order")))
        query = "&".join(draw(_queries("customers")))
        if draw(st.booleans()):
            return Asking("GET", f"/rpc/{name}?{query}", headers)
        return Asking(
            "POST", f"/rpc/{name}?{query}", headers, {"k": draw(st.integers(100, 130))} if name[1] == "d" else {}
        )
    table = draw(st.sampled_from(sorted(_COLUMNS)))
    method = draw(st.sampled_from((*["GET"] * 6, "HEAD", "POST", "PATCH", "PATCH", "DELETE", "PUT")))
    parts = draw(_queries(table))
    if method == "POST" and draw(st.integers(0, 2)) == 0:
        parts.append(f"on_conflict={draw(_weigh(table))}")
    if method in ("POST", "PATCH") and draw(st.integers(0, 4)) == 0:
        parts.append(f"columns={draw(_weigh(table))}")
    if method in ("PATCH", "DELETE"):
        parts.append("id=gt.0")
    body = draw(_bodies(table)) if method in ("POST", "PATCH", "PUT") else None
    return Asking(method, f"/{table}?{'&'.join(parts)}", headers, body)


@pytest.fixture
async def twins(workshop: Workshop) -> tuple[BenchAgent, BenchAgent]:
    """The same agent on each of two databases."""
    agents = []
    for values in (_ONE, _OTHER):
        bench = await workshop.bench(_SCHEMA + _FILL.format(**values))
        await bench.run("ANALYZE")
        functions = ["all_customers", "add_order"]
        agents.append(await bench.agent(columns=_RULES, functions=functions, maxWritesPerSession=1_000_000))
    return agents[0], agents[1]


def _show(answer: httpx.Response) -> tuple[object, ...]:
    return answer.status_code, answer.content, {name: answer.headers.get(name) for name in _SHOWN}


_MANY = settings(
    max_examples=int(os.environ.get("MASK_EXAMPLES", "250")), deadline=None, suppress_health_check=list(HealthCheck)
)


@_MANY
@given(asking=askings())
async def test_no_answer_depends_on_a_hidden_value(twins: tuple[BenchAgent, BenchAgent], asking: Asking) -> None:
    shown = []
    for agent in twins:
        sent = {"json": asking.body} if asking.body is not None else {}
        shown.append(_show(await agent.http.request(asking.method, asking.path, headers=asking.headers, **sent)))
    assert shown[0] == shown[1]
    assert shown[0][0] != 500
    event(f"{asking.method} {shown[0][0]}")


async def test_the_twins_differ_and_the_test_would_see_it(twins: tuple[BenchAgent, BenchAgent]) -> None:
    """An agent without rules gets other bytes from each, by reading, by an error, and by what a filter finds."""
    for path in ("/customers?id=eq.1", "/orders?referrer=eq.3", "/customers?select=id&spend=gt.500&order=id", "/rich"):
        shown = []
        for twin in twins:
            free = await twin.bench.agent()
            shown.append(_show(await free.http.get(path)))
        assert shown[0] != shown[1], path
