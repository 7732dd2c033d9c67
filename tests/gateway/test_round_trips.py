"""What a write costs on the way to the project's database: one round trip, and the COMMIT, where nothing asks for more."""

import pytest

from benchmarks.statements import record_request
from tests.fixtures.bench import GUEST, OWNER, Workshop

_SCRIPT = f"""
    CREATE TABLE plain (id int PRIMARY KEY, body text);
    CREATE TABLE parent (id int PRIMARY KEY, body text);
    CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent ON DELETE CASCADE);
    CREATE TABLE held_back (id int PRIMARY KEY, body text);
    ALTER TABLE held_back ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON held_back TO {GUEST} USING (id < 10);
    GRANT ALL ON plain, parent, child, held_back TO {GUEST};
    INSERT INTO plain VALUES (1, 'a'), (2, 'b');
    INSERT INTO parent VALUES (1, 'a');
    INSERT INTO held_back VALUES (1, 'a');
"""


@pytest.mark.parametrize("role", [OWNER, GUEST])
@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("PATCH", "/plain", "id=eq.1", '{"body": "x"}'),
        ("PATCH", "/plain", "body=like.*a*", '{"body": "x"}'),
        ("PATCH", "/parent", "id=eq.1", '{"body": "x"}'),
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
        (OWNER, "PATCH", "/plain", "id=eq.1", '{"id": 9}'),
        (OWNER, "DELETE", "/parent", "id=eq.1", ""),
        (GUEST, "PATCH", "/held_back", "id=eq.1", '{"body": "x"}'),
    ],
)
async def test_what_must_be_looked_at_first_takes_more(
    workshop: Workshop, role: str, method: str, path: str, query: str, body: str
) -> None:
    """A key that changes, children that go along, rows that the caller may not see."""
    bench = await workshop.bench(_SCRIPT)
    trips = await record_request(
        bench.dsn, role, method, path, query, {"content-type": "application/json"}, body.encode()
    )
    assert len(trips) > 2
