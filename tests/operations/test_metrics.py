"""`/metrics`: closed to strangers, true about what happened, and cheap enough for the hot path."""

import asyncio
import re
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from basewarden import __version__
from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.operations import RequestCounts
from tests.fixtures.app import ProjectDatabase, Serve, ServedProduct
from tests.fixtures.quiet_jobs import start_workers

TOKEN = "a token for the scraper alone"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
Admin = psycopg.AsyncConnection[Any]


@pytest.fixture
async def measured(serve: Serve) -> ServedProduct:
    return await serve({"metrics_token": Secret(TOKEN)})


def parse(text: str) -> Samples:
    """Each sample by its name and labels, without the process."""
    return {
        (sample.name, frozenset((name, value) for name, value in sample.labels.items() if name != "process")): float(
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"basewarden_{name}", frozenset(labels.items())))


async def scrape(product: ServedProduct) -> Samples:
    answer = await (await product.client()).get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return parse(answer.text)


async def test_it_is_not_there_unless_a_token_is_set(client: httpx.AsyncClient) -> None:
    for headers in ({}, {"authorization": "Bearer"}, {"authorization": "Bearer None"}):
        assert (await client.get("/metrics", headers=headers)).status_code == 404


async def test_it_is_not_there_without_the_token(measured: ServedProduct) -> None:
    client = await measured.client()
    nowhere = await client.get("/nowhere-at-all")
    for given in (
        [],
        [TOKEN],
        [f"Basic {TOKEN}"],
        ["Bearer wrong"],
        [f"Bearer {TOKEN}x"],
        ["Bearer ü"],
        [f"Bearer {TOKEN}"] * 2,
    ):
        answer = await client.get("/metrics", headers=[(b"authorization", one.encode()) for one in given])
        assert answer.status_code == 404
        assert answer.headers["content-type"] == nowhere.headers["content-type"]
    person = await measured.sign_up("somebody@example.com")
    assert (await person.get("/metrics")).status_code == 404


async def test_requests_are_counted_by_their_routes(measured: ServedProduct) -> None:
    person = await measured.sign_up("somebody@example.com")
    unknown, agents = str(uuid4()), "/api/connections/{connection_id}/agents"
    assert (await person.get(f"/api/connections/{unknown}/agents")).status_code == 404
    assert (await person.get(f"/api/connections/{uuid4()}/agents")).status_code == 404
    assert (await person.post("/api/connections", json={})).status_code == 422
    await person.get("/some/stranger/thing")
    await person.get(f"/api/v/{unknown}/rest/v1/people?name=eq.ada")
    await person.get(f"/api/v/{unknown}/introspect")
    await person.get(f"/api/v/{unknown}/elsewhere")
    await person.get("/static/build/nothing.js")
    await person.request("PROPFIND", "/")
    samples = await scrape(measured)
    assert read(samples, "requests_total", route=agents, method="GET", status="404") == 2
    assert read(samples, "requests_total", route="/api/connections", method="POST", status="422") == 1
    assert read(samples, "requests_total", route="/api/v/{connection_id}/rest/v1", method="GET", status="404") == 1
    assert read(samples, "requests_total", route="/api/v/{connection_id}/introspect", method="GET", status="404") == 1
    assert read(samples, "requests_total", route="unmatched", method="GET", status="404") == 2
    assert read(samples, "requests_total", route="/static/", method="GET", status="404") == 1
    assert any(dict(labels).get("method") == "other" for _, labels in samples)
    assert read(samples, "request_seconds_count", route=agents) == 2
    assert read(samples, "request_seconds_bucket", route=agents, le="+Inf") == 2
    assert 0 < (read(samples, "request_seconds_sum", route=agents) or 0) < 10


async def test_what_is_answered_before_the_router_is_counted_by_its_name(measured: ServedProduct) -> None:
    client = await measured.client()
    assert (await client.get("/api/health/live")).status_code == 200
    assert (
        read(await scrape(measured), "requests_total", route="/api/health/live", method="GET", status="200") or 0
    ) >= 1


async def test_no_address_that_a_stranger_chose_becomes_a_series(measured: ServedProduct) -> None:
    client = await measured.client()
    before = {labels for name, labels in await scrape(measured) if name == "basewarden_requests_total"}
    for method in ("PROPFIND", "MKCOL", "LOCK", "SEARCH") * 8:
        await client.get(f"/{uuid4()}/{uuid4()}")
        await client.get(f"/reset/{uuid4().hex}")
        await client.get(f"/api/v/{uuid4()}/rest/v1/{uuid4()}")
        await client.request(method, "/signin")
    after = {labels for name, labels in await scrape(measured) if name == "basewarden_requests_total"}
    assert len(after - before) <= 6


async def test_it_reports_the_pool_and_the_queues(
    measured: ServedProduct, app_database: str, project: ProjectDatabase
) -> None:
    quiet = await scrape(measured)
    assert read(quiet, "database_up") == 1
    assert read(quiet, "build_info", version=__version__) == 1
    waiting = ("journal_lag_seconds", "jobs_failed", "emails_failed", "emails_queued")
    assert [read(quiet, name) for name in waiting] == [0, 0, 0, 0]
    async with (
        await psycopg.AsyncConnection.connect(app_database, autocommit=True) as ours,
        await psycopg.AsyncConnection.connect(project.admin_dsn) as theirs,
    ):
        await make_pending_write(measured, project, ours, theirs)
        await ours.execute(
            "INSERT INTO letters (id, kind, address, state) VALUES (gen_random_uuid(), 'x', 'a@example.com', 'failed')"
        )
        await start_workers(app_database)
        await ours.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status)"
            " VALUES ('x', 'x', 'failed'), ('x', 'y', 'todo')"
        )
        await asyncio.sleep(1.1)  # numbers are kept for a second
        async with measured.registry.get(Database).read_only() as session:
            await session.execute(text("SELECT 1"))  # which takes a connection
            samples = await scrape(measured)
    assert 290 < (read(samples, "journal_lag_seconds") or 0) < 400
    assert [read(samples, name) for name in ("emails_failed", "jobs_failed", "jobs_waiting")] == [1, 1, 1]
    assert (read(samples, "pool_connections_in_use") or 0) >= 1


async def make_pending_write(product: ServedProduct, project: ProjectDatabase, ours: Admin, theirs: Admin) -> None:
    """Five minutes old, of a transaction that `theirs` holds open: it cannot be reconciled."""
    person = await product.sign_up("writer@example.com")
    answer = await person.post("/api/connections", json={"name": "Shop", "postgresUrl": project.dsn})
    row = await (await theirs.execute("SELECT pg_current_xact_id()::text::bigint")).fetchone()
    await ours.execute(
        "WITH session AS (INSERT INTO journal_sessions (id, connection_id, caller_key, kind, caller_name)"
        " VALUES (gen_random_uuid(), %s, 'x', 'agent', 'x') RETURNING id, connection_id)"
        " INSERT INTO journal_writes (id, session_id, connection_id, at, xid, verb, schema_name, table_name,"
        " mutation_count, tables, summary) SELECT gen_random_uuid(), id, connection_id, now() - interval '5 minutes',"
        " %s, 'update', 'public', 'notes', 1, '{public.notes}', 'x' FROM session",
        (answer.json()["id"], row[0] if row else None),
    )


async def test_it_answers_while_the_pool_is_used_up(measured: ServedProduct) -> None:
    database = measured.registry.get(Database)
    stack = [database.read_only() for _ in range(20)]
    for one in stack:
        await (await one.__aenter__()).execute(text("SELECT 1"))
    try:
        samples = await scrape(measured)
    finally:
        for one in stack:
            await one.__aexit__(None, None, None)
    assert read(samples, "pool_connections_in_use") == 20
    assert read(samples, "jobs_waiting") is not None


async def test_a_fault_of_ours_is_no_quiet_zero(measured: ServedProduct, app_database: str) -> None:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True) as connection:
        await connection.execute("ALTER TABLE letters RENAME TO mislaid")
    answer = await (await measured.client()).get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 500


def test_requests_fall_into_their_buckets() -> None:
    counts = RequestCounts()
    counts.observe({"method": "GET", "path": "/x"}, 200, 0.003)
    counts.observe({"method": "GET", "path": "/x"}, 200, 0.2)
    counts.observe({"method": "GET", "path": "/y"}, 0, 99.0)
    (requests, durations) = counts.collect()
    assert {tuple(sample.labels.values()): sample.value for sample in requests.samples} == {
        ("unmatched", "GET", "200"): 2,
        ("unmatched", "GET", "0"): 1,
    }
    by_bound = {sample.labels.get("le"): sample.value for sample in durations.samples}
    assert (by_bound["0.0025"], by_bound["0.005"], by_bound["0.25"], by_bound["10.0"], by_bound["+Inf"]) == (
        0,
        1,
        2,
        2,
        3,
    )


async def test_metrics_of_two_processes_have_their_own_labels(measured: ServedProduct) -> None:
    answer = await (await measured.client()).get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert re.search(r'^basewarden_pool_connections_in_use\{process="\d+"\}', answer.text, re.MULTILINE)
    assert re.search(r'^process_open_fds\{process="\d+"\}', answer.text, re.MULTILINE)
    assert re.search(r"^basewarden_jobs_waiting \d", answer.text, re.MULTILINE)
