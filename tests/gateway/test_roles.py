"""A pooled db connection has no memory of the role that another caller's function left it in."""

import pytest

from tests.fixtures.bench import GUEST, OWNER, Workshop

_FUNCTIONS = """
    SET ROLE bench_owner;
    CREATE TABLE notes (id int PRIMARY KEY, by text DEFAULT current_user, at int DEFAULT pg_backend_pid());
    CREATE FUNCTION become(who text) RETURNS int LANGUAGE plpgsql AS
        'BEGIN PERFORM set_config(''role'', who, false); RETURN pg_backend_pid(); END';
    CREATE FUNCTION whoami() RETURNS TABLE (by text, at int) LANGUAGE sql STABLE AS
        'SELECT current_user::text, pg_backend_pid()';
    GRANT ALL ON ALL TABLES IN SCHEMA public TO bench_guest;
"""
_SHOW = {"prefer": "return=representation"}


@pytest.mark.parametrize(
    ("settings", "expected", "other"), [({}, OWNER, GUEST), ({"role": GUEST}, GUEST, OWNER)], ids=["none", "default"]
)
async def test_a_role_that_a_function_set_for_good_ends_with_its_request(
    workshop: Workshop, settings: dict[str, str], expected: str, other: str
) -> None:
    """Where the login has a role of its own by ALTER DATABASE or ALTER ROLE, that is what comes back."""
    bench = await workshop.bench(_FUNCTIONS, settings=settings)
    agent = await bench.agent()
    spoiled: set[int] = set()
    reads: set[int] = set()
    writes: set[int] = set()
    for number in range(50):
        became = await agent.http.post("/rpc/become", json={"who": other})
        assert became.is_success, became.text
        spoiled.add(became.json())
        read = (await agent.http.get("/rpc/whoami")).json()[0]
        reads.add(read["at"])
        write = (await agent.http.post("/notes", json={"id": number}, headers=_SHOW)).json()[0]
        writes.add(write["at"])
        assert (read["by"], write["by"]) == (expected, expected)
        if spoiled & reads and spoiled & writes:  # the pool may have lent another one, for it looks at the schema
            return
    pytest.fail("no spoiled connection was lent again")
