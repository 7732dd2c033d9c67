"""What a write costs on the way to the project's database: one round trip, and the COMMIT, where nothing asks for more."""

import pytest

from benchmarks.statements import record_request
from tests.fixtures.bench import GUEST, OWNER, Workshop

_SCRIPT = f"""
    CREATE TABLE plain (id int PRIMARY KEY, body text);
    CREATE TABLE parent (id int PRIMARY KEY, body text);
    CREATE TABLE child (
        id int PRIMARY KEY, parent_id int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE held_back (id int PRIMARY KEY, body text);
    ALTER TABLE held_back ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON held_back TO {GUEST} USING (id < 10);
    CREATE TABLE secretive (id int PRIMARY KEY, body text, secret text);
    CREATE TABLE letters (id int PRIMARY KEY);
    GRANT SELECT (id, body), UPDATE (body) ON secretive TO {GUEST};
    GRANT INSERT ON letters TO {GUEST};
    GRANT ALL ON plain, parent, child, held_back TO {GUEST};
    INSERT INTO plain VALUES (1, 'a'), (2, 'b');
    INSERT INTO parent VALUES (1, 'a');
    INSERT INTO held_back VALUES (1, 'a');
    INSERT INTO secretive VALUES (1, 'a', 's');
"""


@pytest.mark.parametrize("role", [OWNER, GUEST])
@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("PATCH", "/plain", "id=eq.1", '{"body": "x"}'),
        ("PATCH", "/plain", "body=like.*a*", '{"body": "x"}'),
        ("PATCH", "/plain", "id=eq.1", '{"id": 9}'),
        ("PATCH", "/parent", "id=eq.1", '{"body": "x"}'),
        ("PATCH", "/held_back", "id=eq.1", '{"body": "x"}'),
        ("DELETE", "/held_back", "id=eq.1", ""),
        ("DELETE", "/plain", "id=eq.2", ""),
        ("POST", "/plain", "", '{"id": 5}'),
        ("POST", "/child", "", '[{"id": 5, "parent_id": 1}, {"id": 6, "parent_id": null}]'),
    ],
)
async def test_one_round_trip_and_the_commit(
    workshop: Workshop, role: str, method: str, path: str, query: str, body: str
) -> None:
    bench = await workshop.bench(_SCRIPT)
    trips = await record_request(
        bench.dsn, role, method, path, query, {"content-type": "application/json"}, body.encode()
    )
    assert len(trips) == 2
    assert [statement.sql for statement in trips[1]] == ["COMMIT"]


@pytest.mark.parametrize(
    ("role", "method", "path", "query", "body"),
    [
        (OWNER, "PATCH", "/parent", "id=eq.1", '{"id": 9}'),
        (OWNER, "DELETE", "/parent", "id=eq.1", ""),
        (GUEST, "PATCH", "/secretive", "id=eq.1", '{"body": "x"}'),
        (GUEST, "POST", "/letters", "", '{"id": 1}'),
    ],
)
async def test_what_must_be_looked_at_first_takes_more(
    workshop: Workshop, role: str, method: str, path: str, query: str, body: str
) -> None:
    """A key that children follow, children that go along, a column and a table that the caller may not read."""
    bench = await workshop.bench(_SCRIPT)
    trips = await record_request(
        bench.dsn, role, method, path, query, {"content-type": "application/json"}, body.encode()
    )
    assert len(trips) > 2
