"""Automatic scans: by schedule, after a change of the schema, once, and what they tell."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from procrastinate.exceptions import ConnectorException

from basewarden.audit import Audit
from basewarden.db import Database
from basewarden.jobs import Jobs
from basewarden.sentry.scans.scan import Scan
from basewarden.sentry.service import Scans
from basewarden.sentry.watching.noticing import SchemaNotices
from basewarden.sentry.watching.service import Watching
from pgrest import PgrestError
from tests.fixtures.app import read_refusal
from tests.fixtures.bench import OWNER, Bench, Workshop
from tests.fixtures.sql import run_sql
from tests.fixtures.waiting import wait_until
from tests.sentry.test_scans import here, list_findings, open_holes, scan


async def ask(bench: Bench, query: str) -> list[tuple[Any, ...]]:
    """Of our own database."""
    return list(
        await run_sql(bench.product.settings.database_url.reveal(), query.replace(":id", f"'{bench.connection_id}'"))
    )


async def read_watch(bench: Bench) -> dict[str, Any]:
    answer = await bench.person.get(here(bench, "/watch"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def choose(bench: Bench, schedule: str) -> httpx.Response:
    return await bench.person.patch(here(bench, "/watch"), json={"schedule": schedule})


async def wait_for_scans(bench: Bench, count: int) -> list[dict[str, Any]]:
    """So many have ended, the newest first."""
    answer = await wait_until(
        lambda: bench.person.get(here(bench, "/scans")), f"{count} scans",
        matches=lambda one: len(one.json()["scans"]) >= count
        and all(scan["status"] != "running" for scan in one.json()["scans"]),
    )  # fmt: skip
    scans: list[dict[str, Any]] = answer.json()["scans"]
    assert len(scans) == count, scans
    return scans


def is_about(text: str, ahead: timedelta) -> bool:
    return abs(datetime.fromisoformat(text) - datetime.now(UTC) - ahead) < timedelta(minutes=5)


async def test_a_connection_is_scanned_by_its_schedule(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    assert (await read_watch(bench))["schedule"] == "daily"
    chosen = await choose(bench, "hourly")
    assert (chosen.status_code, chosen.json()["schedule"], chosen.json()["nextCause"]) == (200, "hourly", "schedule")
    (first,) = await wait_for_scans(bench, 1)
    assert (first["status"], first["cause"]) == ("done", "schedule"), first
    watch = await read_watch(bench)
    assert is_about(watch["nextScanAt"], timedelta(hours=1))
    await choose(bench, "off")
    assert await read_watch(bench) == {"schedule": "off", "nextScanAt": None, "nextCause": None}
    await scan(bench)
    assert (await read_watch(bench))["nextScanAt"] is None
    page = await bench.person.get(f"/c/{bench.connection_id}/sentry")
    assert "It was asked for" in page.text
    assert "automatic scans are off" in page.text


@asynccontextmanager
async def two_processes(bench: Bench) -> AsyncIterator[list[Watching]]:
    """What starts automatic scans, as two processes of the product have it."""
    registry = bench.product.registry
    databases = [Database(bench.product.settings.database_url) for _ in range(2)]
    try:
        yield [Watching(one, Jobs(one), registry.get(Scans), registry.get(Audit)) for one in databases]
    finally:
        for one in databases:
            await one.close()


async def test_two_processes_start_one_due_scan_once(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    await scan(bench)
    await ask(bench, "UPDATE sentry_watches SET next_at = now() - interval '1 minute' WHERE connection_id = :id")
    async with two_processes(bench) as processes:
        for _ in range(3):
            await asyncio.gather(*(one.start_due() for one in processes))
    latest, _ = await wait_for_scans(bench, 2)
    assert (latest["cause"], latest["status"]) == ("schedule", "done")


async def test_a_change_that_two_processes_see_is_planned_once(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    await scan(bench)
    async with two_processes(bench) as processes:
        await asyncio.gather(*(one.note_version(UUID(bench.connection_id), "another") for one in processes))
    lock = f"sentry_watch:{bench.connection_id}"
    assert await ask(bench, f"SELECT count(*) FROM procrastinate_jobs WHERE queueing_lock = '{lock}'") == [(1,)]
    assert (await read_watch(bench))["nextCause"] == "schema_change"
    await choose(bench, "off")
    assert (await read_watch(bench))["nextScanAt"] is None


async def test_what_an_agent_changes_in_the_schema_is_scanned_once(workshop: Workshop) -> None:
    bench = await open_holes(
        workshop,
        "CREATE TABLE people (id int PRIMARY KEY, email text); INSERT INTO people VALUES (1, 'a@b.example');"
        "CREATE FUNCTION open_it() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public"
        " AS 'GRANT SELECT ON people TO anon'",
    )
    await scan(bench)
    agent = await bench.agent()
    assert (await agent.http.get("/people")).is_success
    assert "people" not in await list_findings(bench)
    await agent.write("POST", "/rpc/open_it", {})
    assert "people" not in await list_findings(bench)
    latest, _ = await wait_for_scans(bench, 2)
    assert latest["cause"] == "schema_change"
    assert "people" in await list_findings(bench)
    assert (await agent.http.get("/people")).is_success
    assert is_about((await read_watch(bench))["nextScanAt"], timedelta(days=1))


async def test_a_change_beside_us_is_noticed_when_the_schema_is_loaded_and_then_has_a_pause(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    await scan(bench)
    await bench.run("CREATE TABLE later (id int PRIMARY KEY)")
    agent = await bench.agent()
    assert (await agent.http.get("/people")).is_success
    latest, _ = await wait_for_scans(bench, 2)
    assert latest["cause"] == "schema_change"
    await bench.run("GRANT SELECT ON later TO anon")
    await asyncio.sleep(0.5)
    assert (await agent.http.get("/people")).is_success
    watch = await wait_until(
        lambda: read_watch(bench), "the change", matches=lambda one: one["nextCause"] == "schema_change"
    )
    assert is_about(watch["nextScanAt"], timedelta(minutes=5))
    await scan(bench)
    assert (await read_watch(bench))["nextCause"] == "schedule", "a scan that was asked for has seen it"


async def test_an_error_ends_no_noticing() -> None:
    """Such as that of the queue of jobs, whose connection is lost."""
    heard: list[str] = []
    hear: list[Any] = []

    async def fail(_: UUID, version: str) -> None:
        raise ConnectorException(version)

    async def note(_: UUID, version: str) -> None:
        heard.append(version)

    projects: Any = SimpleNamespace(on_schema=hear.append)
    watching: Any = SimpleNamespace(note_version=fail)
    history: Any = SimpleNamespace(note_version=note)
    notices = SchemaNotices(projects, watching, history)
    await notices.start()
    hear[0](UUID(int=1), "one")
    await wait_until(lambda: "one" in heard, "the first")
    hear[0](UUID(int=1), "two")
    await wait_until(lambda: "two" in heard, "the second")
    await notices.stop()


async def test_a_fix_is_followed_by_a_scan(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    await scan(bench)
    finding = (await list_findings(bench))["people"]["id"]
    fixed = await bench.person.post(here(bench, f"/findings/{finding}/fix"), json={"mode": "apply"})
    assert fixed.status_code == 200, fixed.text
    assert (await read_watch(bench))["nextCause"] == "schema_change"
    await scan(bench)
    assert (await read_watch(bench))["nextCause"] == "schedule"


async def test_a_scan_that_fails_is_tried_again_later_each_time(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    await scan(bench)
    await bench.run(f"ALTER ROLE {OWNER} NOLOGIN")
    await bench.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = current_database() AND usename = '{OWNER}'"
    )
    due = "UPDATE sentry_watches SET next_at = now() - interval '1 minute' WHERE connection_id = :id"
    try:
        waits = []
        for count in (2, 3):
            await ask(bench, due)
            await bench.product.registry.get(Watching).start_due()
            latest, *_ = await wait_for_scans(bench, count)
            assert (latest["status"], latest["cause"]) == ("failed", "schedule"), latest
            waits.append(datetime.fromisoformat((await read_watch(bench))["nextScanAt"]) - datetime.now(UTC))
        assert timedelta(minutes=10) < waits[0] < timedelta(minutes=20), waits
        assert timedelta(minutes=40) < waits[1] < timedelta(minutes=80), waits
        page = await bench.person.get(f"/c/{bench.connection_id}/sentry")
        assert "The next try is" in page.text
    finally:
        await bench.run(f"ALTER ROLE {OWNER} LOGIN")
    await scan(bench)
    assert is_about((await read_watch(bench))["nextScanAt"], timedelta(days=1))


async def test_what_a_failed_scan_has_seen_is_looked_at_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan that was asked for takes over from the one that a change has planned."""
    bench = await open_holes(workshop)
    await scan(bench)

    async def fail(*_: object) -> None:
        raise PgrestError(503, "57P01", "the connection was lost")

    with monkeypatch.context() as patch:
        patch.setattr(Scan, "run", fail)
        assert (await scan(bench))["status"] == "failed"
    watch = await read_watch(bench)
    assert is_about(watch["nextScanAt"], timedelta(minutes=15)), watch
    await choose(bench, "off")
    with monkeypatch.context() as patch:
        patch.setattr(Scan, "run", fail)
        assert (await scan(bench))["status"] == "failed"
    assert (await read_watch(bench))["nextScanAt"] is None


async def test_a_finding_is_an_alert_once_and_again_when_it_is_back(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    body = {
        "channel": "webhook",
        "target": "http://127.0.0.1:9/hook",
        "events": ["finding_critical", "finding_warning"],
    }
    made = await bench.person.post(f"/api/connections/{bench.connection_id}/alerts", json=body)
    alert = made.json()["id"]

    async def count() -> int:
        """Messages and what waits for one, about `people`."""
        finding = (await list_findings(bench, "?rule=rls_off&status=open"))["people"]["id"]
        sent = await ask(bench, f"SELECT payload FROM alert_deliveries WHERE alert_id = '{alert}'")
        waiting = await ask(
            bench, f"SELECT count FROM alert_events WHERE alert_id = '{alert}' AND subject_id = '{finding}'"
        )
        return sum(finding in one for (one,) in sent) + sum(int(one) for (one,) in waiting)

    for _ in range(3):
        await scan(bench)
        assert await wait_until(count, "an alert") == 1
    await bench.run("ALTER TABLE people ENABLE ROW LEVEL SECURITY")
    await scan(bench)
    await bench.run("ALTER TABLE people DISABLE ROW LEVEL SECURITY")
    await scan(bench)
    assert await count() == 2
    finding = (await list_findings(bench))["people"]["id"]
    body = {"status": "acknowledged", "reason": "known"}
    assert (await bench.person.patch(here(bench, f"/findings/{finding}"), json=body)).is_success
    await scan(bench)
    await bench.person.patch(here(bench, f"/findings/{finding}"), json={"status": "open"})
    assert await count() == 2


async def test_only_an_owner_changes_the_schedule(workshop: Workshop) -> None:
    bench = await workshop.bench("")
    editor = await bench.member("editor")
    assert (await editor.get(here(bench, "/watch"))).status_code == 200
    assert (await editor.patch(here(bench, "/watch"), json={"schedule": "off"})).status_code == 403
    assert read_refusal(await choose(bench, "yearly")) == (422, "validation_failed")
    refused = await bench.person.post(f"/c/{bench.connection_id}/sentry/watch", data={"schedule": "yearly"})
    assert refused.status_code == 422
    saved = await bench.person.post(f"/c/{bench.connection_id}/sentry/watch", data={"schedule": "off"})
    assert saved.headers["location"].endswith("/sentry?done=scheduled#watching")
    assert (await read_watch(bench))["schedule"] == "off"
