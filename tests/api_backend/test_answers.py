"""The client is answered as if its write had gone straight to the project: the same requests on twins, side by side."""

import json
from typing import Any

import httpx
import pytest

from pgrest import PgrestError
from tests.api_backend.api_bench import ApiBench
from tests.api_backend.conftest import OpenProject

SHOP = """
    CREATE TABLE clients (id int PRIMARY KEY, name text UNIQUE, meta jsonb, at timestamptz, ok bool, n numeric);
    CREATE TABLE tasks (id int PRIMARY KEY, client_id int REFERENCES clients, title text, done bool DEFAULT false);
    CREATE TABLE pairs (a int, b text, x text DEFAULT 'd', PRIMARY KEY (a, b));
    CREATE TABLE "odd one" ("the key" int PRIMARY KEY, "a,b" text, "q""q" text, "or" text, "select" text);
    CREATE TABLE loose (a int, b text);
    CREATE FUNCTION bump(by int) RETURNS SETOF tasks LANGUAGE sql VOLATILE AS
        'UPDATE tasks SET title = title || by WHERE id < 3 RETURNING *';
    INSERT INTO clients VALUES (1, 'ann', '{"a": {"b": [1, 2.50]}, "z": null}', '2026-01-02 03:04:05+00', true, 1.50),
        (2, 'bob', NULL, 'infinity', false, 'NaN'), (3, 'cid', '[]', NULL, NULL, NULL);
    INSERT INTO tasks VALUES (1, 1, 'one'), (2, 1, 'two'), (3, 2, 'three'), (4, NULL, 'four');
    INSERT INTO pairs VALUES (1, 'x', 'p'), (1, 'y', 'q'), (2, 'a,b "c"', 'r');
    INSERT INTO "odd one" VALUES (1, 'x', 'y', 'z', 'w');
    INSERT INTO loose VALUES (1, 'x'), (1, 'x'), (2, 'y');
"""
REP, MIN, HEAD = "return=representation", "return=minimal", "return=headers-only"
ONE = {"accept": "application/vnd.pgrst.object+json"}
STRIPPED = {"accept": "application/vnd.pgrst.array+json;nulls=stripped"}
CSV = {"accept": "text/csv"}
MERGE = "resolution=merge-duplicates"
IGNORE = "resolution=ignore-duplicates"

# (method, path, body, prefer, headers)
REQUESTS: list[tuple[str, str, Any, str, dict[str, str]]] = [
    ("PATCH", "/clients?id=eq.1", {"name": "x"}, "", {}),
    ("PATCH", "/clients?id=eq.1", {"name": "y"}, MIN, {}),
    ("PATCH", "/clients?id=gt.0&order=id.desc", {"ok": None}, REP, {}),
    ("PATCH", "/clients?id=lt.3&select=id,who:name,meta->a->b->>1,n::text", {"n": 7}, f"{REP},count=exact", {}),
    ("PATCH", "/clients?id=eq.1&select=*,tasks(id,title)", {"n": "0.10"}, REP, {}),
    ("PATCH", "/clients?id=eq.1&select=*,tasks(id)&tasks.id=eq.2", {"n": 1}, REP, {}),
    ("PATCH", "/tasks?id=lt.4&select=title,...clients(name)", {"done": True}, REP, {}),
    ("PATCH", "/clients?id=eq.1", {"name": "z"}, REP, ONE),
    ("PATCH", "/clients?id=eq.99", {"name": "z"}, REP, ONE),
    ("PATCH", "/clients?id=lt.3", {"n": 9}, REP, ONE),
    ("PATCH", "/clients?id=lt.3", {"n": 9}, MIN, ONE),
    ("PATCH", "/clients?id=eq.99", {"name": "z"}, f"{REP},count=exact", {}),
    ("PATCH", "/clients?id=eq.1", {}, REP, {}),
    ("PATCH", "/clients?id=eq.1", {"nope": 1}, REP, {}),
    ("PATCH", "/clients?id=eq.abc", {"n": 1}, REP, {}),
    ("PATCH", "/clients?id=eq.1", {"n": "abc"}, REP, {}),
    ("PATCH", "/clients?id=eq.1", {"name": "cid"}, REP, {}),
    ("PATCH", "/clients?id=eq.3", {"meta": None}, f"{REP},handling=strict,max-affected=5", {}),
    ("PATCH", "/clients?id=gt.0", {"meta": None}, f"{REP},handling=strict,max-affected=2", {}),
    ("PATCH", "/clients?id=eq.3", {"meta": None}, f"{REP},handling=lenient,max-affected=5", {}),
    ("PATCH", "/clients?id=eq.3", {"meta": None}, f"{REP},handling=strict,nonsense=1", {}),
    ("PATCH", "/clients?id=eq.3", {"meta": {"deep": [1.10, {"x": None}]}}, REP, STRIPPED),
    ("PATCH", "/clients?id=lt.3&select=id,name", {"ok": True}, REP, CSV),
    ("PATCH", "/clients?or=(id.eq.1,name.eq.lo)&not.and=(id.gt.5,id.lt.3)", {"ok": False}, REP, {}),
    ("PATCH", "/clients?id=eq.1&columns=name", {"name": "col", "n": 5}, REP, {}),
    ("PATCH", "/tasks?id=eq.1&columns=title,done", {"title": "d"}, f"{REP},missing=default", {}),
    ("PATCH", "/clients?id=eq.1&limit=1&offset=5", {"n": 3}, REP, {}),
    ("POST", "/clients", {"id": 10, "name": "ten"}, "", {}),
    ("POST", "/clients", {"id": 11, "name": "eleven"}, HEAD, {}),
    ("POST", "/clients?select=id,name", [{"id": 12, "name": "a"}, {"id": 13, "name": "b"}], f"{REP},count=exact", {}),
    ("POST", "/clients", {"id": 14, "name": "one"}, REP, ONE),
    ("POST", "/clients", [{"id": 15}, {"id": 16}], REP, ONE),
    ("POST", "/clients", {"id": 10, "name": "again"}, REP, {}),
    ("POST", "/clients", [{"id": 17}, {"id": 18, "name": "n"}], REP, {}),
    ("POST", "/tasks?columns=id,title,done", [{"id": 20}, {"id": 21, "title": "t"}], f"{REP},missing=default", {}),
    ("POST", "/clients", b"id,name\n30,csv\n31,NULL\n", REP, {"content-type": "text/csv"}),
    ("POST", "/clients", b"id=32&name=form", REP, {"content-type": "application/x-www-form-urlencoded"}),
    ("POST", "/clients", b"{", REP, {}),
    ("POST", "/clients", [], REP, {}),
    ("POST", "/clients", [{"id": 10, "name": "m"}, {"id": 40, "name": "n"}], f"{MERGE},{REP}", {}),
    ("POST", "/clients", [{"id": 10, "name": "mm"}], f"{MERGE},{REP},count=exact", {}),
    ("POST", "/clients", [{"id": 10, "name": "mmm"}], f"{MERGE},{MIN}", {}),
    ("POST", "/clients?on_conflict=name", [{"id": 10, "name": "mmm"}, {"id": 41, "name": "o"}], f"{MERGE},{REP}", {}),
    ("POST", "/clients", [{"id": 10, "name": "i"}, {"id": 42, "name": "j"}], f"{IGNORE},{REP}", {}),
    ("POST", "/clients", [{"id": 10, "name": "i"}], f"{IGNORE},{MIN}", {}),
    ("POST", "/pairs", {"a": 5, "b": "é ü"}, HEAD, {}),
    ("POST", "/pairs?select=x,a", [{"a": 1, "b": "x", "x": "k"}, {"a": 9, "b": "", "x": None}], f"{MERGE},{REP}", {}),
    ("POST", "/loose", {"a": 7}, HEAD, {}),
    ("POST", "/loose", [{"a": 8}], f"{MERGE},{REP}", {}),
    ("POST", "/clients?select=*", [{"id": 10, "name": "star"}], f"{MERGE},{REP}", CSV),
    ("PUT", "/clients?id=eq.10", {"id": 10, "name": "put"}, REP, {}),
    ("PUT", "/clients?id=eq.50", {"id": 50, "name": "fresh"}, REP, {}),
    ("PUT", "/clients?id=eq.50", {"id": 50, "name": "fresh2"}, MIN, {}),
    ("PUT", "/clients?id=eq.51", {"id": 52, "name": "bad"}, REP, {}),
    ("PUT", "/pairs?a=eq.1&b=eq.y", {"a": 1, "b": "y", "x": "put"}, REP, ONE),
    ("PATCH", "/odd%20one?%22the%20key%22=eq.1", {"a,b": "1", 'q"q': "2", "or": "3", "select": "4"}, REP, {}),
    ("PATCH", '/odd%20one?%22or%22=eq.3&select="a,b","or"', {"select": "5"}, REP, {}),
    ("DELETE", "/odd%20one?%22a,b%22=eq.1", None, REP, {}),
    ("PATCH", "/loose?a=eq.1", {"b": "z"}, REP, {}),
    ("DELETE", "/loose?a=eq.2", None, f"{REP},count=exact", {}),
    ("DELETE", "/tasks?id=eq.4&select=id,clients(name)", None, REP, {}),
    ("DELETE", "/tasks?id=eq.3&select=id,clients(name)", None, REP, {}),
    ("DELETE", "/tasks?id=eq.99", None, REP, ONE),
    ("DELETE", "/tasks?id=in.(1,2)", None, "", {}),
    ("DELETE", "/clients?id=eq.10", None, f"{MIN},count=exact", {}),
    ("DELETE", "/clients?id=gte.40&select=id", None, REP, CSV),
    ("DELETE", "/clients?id=gte.40&select=id", None, REP, CSV),
    ("DELETE", "/pairs?b=eq.a,b%20%22c%22", None, REP, {}),
    ("DELETE", "/pairs?x=not.in.(k,%22q%22)", None, REP, {}),
    ("POST", "/rpc/bump", {"by": 4}, "", {}),
    ("POST", "/rpc/bump?select=id", {"by": 5}, "count=exact", ONE),
    ("POST", "/rpc/nope", {"by": 5}, "", {}),
]
COMPARED = ("content-range", "content-type", "location", "preference-applied", "content-profile", "content-length")


@pytest.fixture
async def twins(open_project: OpenProject) -> tuple[ApiBench, ApiBench]:
    return await open_project(SHOP), await open_project(SHOP)


async def ask_straight(bench: ApiBench, request: tuple[str, str, Any, str, dict[str, str]]) -> httpx.Response:
    method, path, body, prefer, headers = request
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    typed = {"content-type": "application/json"} if body is not None else {}
    given = {**typed, **({"prefer": prefer} if prefer else {}), **headers}
    return await bench.client.request(method, path, content=content, headers=given)


async def ask_through(bench: ApiBench, request: tuple[str, str, Any, str, dict[str, str]]) -> tuple[int, Any, bytes]:
    method, path, body, prefer, headers = request
    try:
        answer = await bench.write(method, path, body, prefer=prefer, headers=headers)
    except PgrestError as error:
        return error.status, [], error.body()
    return answer.response.status, answer.response.headers, bytes(answer.response.body)


async def test_the_same_answers(twins: tuple[ApiBench, ApiBench]) -> None:
    straight, through = twins
    for request in REQUESTS:
        expected = await ask_straight(straight, request)
        status, headers, body = await ask_through(through, request)
        found = {name.lower(): value for name, value in headers}
        assert (status, read_body(body)) == (expected.status_code, read_body(expected.content)), request
        if status < 300:
            for name in COMPARED:
                if name != "content-length" or not body:
                    assert found.get(name) == expected.headers.get(name), (request, name)
        assert await list_rows(straight) == await list_rows(through), request


def read_body(body: bytes) -> Any:
    """Numbers as they are written. PostgreSQL returns rows in the order in which it met them: in none, here."""
    if body[:1] not in (b"{", b"["):
        return sorted(body.splitlines())
    found = json.loads(body, parse_float=str)
    return sorted(found, key=json.dumps) if isinstance(found, list) else found


async def list_rows(bench: ApiBench) -> dict[str, list[str]]:
    return await bench.texts("clients", "tasks", "pairs", '"odd one"', "loose")
