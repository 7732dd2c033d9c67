"""Each harmful thing that a database does costs the request that met it, which is answered clearly, and nothing else."""

from tests.fakes.hostile_postgres import run_hostile_postgres
from tests.fixtures.bench import OwnWorkshop

_TABLE = "CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes VALUES (1, 'x');"
_MODES = (
    "endless_rows",
    "endless_settings",
    "endless_errors",
    "endless_completions",
    "endless_parse_answers",
    "endless_readiness",
    "negative_length",
    "closes_in_message",
    "most_columns",
    "no_rows_where_some_must_be",
    "rows_that_are_no_json",
    "error_of_control_characters",
    "copy_in",
    "copy_both",
    "an_answer_to_nothing_asked",
)


async def test_whatever_a_database_sends_is_answered_clearly(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open({"max_answer_mb": 4, "agent_query_seconds": 1.0})
    bench = await workshop.bench(_TABLE)
    port = int(bench.dsn.partition("@")[2].partition(":")[2].partition("/")[0])
    async with run_hostile_postgres("silent", port) as hostile:
        behind = await workshop.connect({"postgresUrl": bench.dsn.replace(f":{port}/", f":{hostile.port}/")})
        agent, honest = await behind.agent(), await bench.agent()
        for mode in _MODES:
            answer = await agent.http.get(f"/notes?body=eq.harm.{mode}")
            assert 400 <= answer.status_code < 600, mode
            assert answer.json()["code"] != "internal", mode
            assert answer.headers["x-request-id"], mode
            good = await honest.http.get("/notes?select=id")
            assert good.json() == [{"id": 1}], mode
