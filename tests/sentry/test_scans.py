"""Scans through the product: what is found, what closes it, who may do what."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from basewarden.db import Database
from basewarden.sentry.models import ScanStatus
from basewarden.sentry.queries import fail_silent_scans
from basewarden.sentry.service import SILENCE
from tests.fixtures.app import read_refusal
from tests.fixtures.bench import OWNER, Bench, Workshop
from tests.fixtures.sql import run_sql
from tests.fixtures.waiting import wait_until

HOLES = """
    CREATE TABLE people (id int PRIMARY KEY, email text);
    CREATE TABLE countries (id int PRIMARY KEY, name text);
    INSERT INTO people VALUES (1, 'ada@secret.example');
    GRANT SELECT ON people, countries TO anon;
"""
VERBS = ("insert", "update", "delete")
_ROLE = "DO $$ BEGIN CREATE ROLE {}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"


async def open_holes(workshop: Workshop, script: str = HOLES) -> Bench:
    roles = await workshop.bench("")
    for role in ("anon", "authenticated"):
        await roles.run(_ROLE.format(role))
        await roles.run(f"GRANT {role} TO {OWNER}")
    return await workshop.bench(script)


def here(bench: Bench, path: str = "") -> str:
    return f"/api/connections/{bench.connection_id}/sentry{path}"


async def scan(bench: Bench, **wanted: Any) -> dict[str, Any]:
    """Starts one, and returns it as it has ended. An automatic one may be running, because a test changed the schema."""
    started = await wait_until(
        lambda: bench.person.post(here(bench, "/scans"), json=wanted or None),
        "other scans to end",
        matches=lambda one: read_refusal(one) != (409, "scan_running"),
    )
    assert started.status_code == 202, started.text
    path = here(bench, f"/scans/{started.json()['id']}")
    ended = await wait_until(
        lambda: bench.person.get(path), "the scan", matches=lambda one: one.json()["status"] != ScanStatus.RUNNING
    )
    found: dict[str, Any] = ended.json()
    return found


async def list_findings(bench: Bench, query: str = "?rule=rls_off") -> dict[str, dict[str, Any]]:
    """By the object's name."""
    answer = await bench.person.get(here(bench, f"/findings{query}"))
    assert answer.status_code == 200, answer.text
    return {one["object"]["name"]: one for one in answer.json()["findings"]}


async def test_a_hole_is_found_proved_and_closed(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    first = await scan(bench)
    assert (first["status"], first["schemas"], first["schemasFrom"]) == ("done", ["public"], "default"), first
    assert first["opened"] >= 2
    assert {one["state"] for one in first["rules"]} <= {"ran", "not_applicable", "not_run"}
    found = await list_findings(bench)
    assert set(found) == {"people", "countries"}
    assert found["people"]["severity"] == "critical"
    detail = (await bench.person.get(here(bench, f"/findings/{found['people']['id']}"))).json()
    probe = detail["evidence"]["probes"][0]
    assert probe == {
        "as": "anon", "verb": "select", "attempt": "select", "outcome": "rows", "rows": 1, "columns": ["email"],
        "reason": None, "brought": False,
    }  # fmt: skip
    assert "ada@secret" not in str(detail)
    assert "/rest/v1/people" in detail["request"]
    assert [one["kind"] for one in detail["history"]] == ["opened"]

    again = await scan(bench)
    assert (again["opened"], again["closed"]) == (0, 0)
    await bench.run(detail["fix"]["sql"])
    assert (await scan(bench))["closed"] >= 1
    assert set(await list_findings(bench)) == {"countries"}
    assert set(await list_findings(bench, "?status=resolved&rule=rls_off")) == {"people"}
    await bench.run("ALTER TABLE people DISABLE ROW LEVEL SECURITY")
    assert (await scan(bench))["opened"] >= 1
    detail = (await bench.person.get(here(bench, f"/findings/{found['people']['id']}"))).json()
    assert [one["kind"] for one in detail["history"]] == ["reopened", "resolved", "opened"]


async def test_megabytes_of_policies_are_not_kept_with_each_finding(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    long = f"email <> '{'x' * 30_000}'"
    for number in range(3):
        await bench.run(f"CREATE POLICY long_{number} ON people USING ({long})")
    await bench.run("ALTER TABLE people ENABLE ROW LEVEL SECURITY; CREATE POLICY all_of ON people USING (true)")
    assert (await scan(bench))["status"] == "done"
    finding = (await list_findings(bench, "?rule=policy_always_true_read"))["people"]
    detail = await bench.person.get(here(bench, f"/findings/{finding['id']}"))
    assert len(detail.text) < 50_000
    assert detail.json()["evidence"]["catalog"]["left_out"] == ["policies"]
    page = await bench.person.get(f"/c/{bench.connection_id}/sentry/{finding['id']}")
    assert page.status_code == 200
    assert "Too long to be kept" in page.text
    for number in range(70):
        await bench.run(f"CREATE POLICY longer_{number} ON people USING ({long})")
    for path in (f"/c/{bench.connection_id}/sentry/tables/public.people", here(bench, "/tables/public.people")):
        refused = await bench.person.get(path)
        assert (refused.status_code, "too long to be shown" in refused.text) == (409, True)


async def test_a_list_that_is_open_on_purpose_is_another_finding(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    await scan(bench)
    await bench.run(
        "INSERT INTO countries VALUES (1, 'x'); ALTER TABLE countries ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY open ON countries FOR SELECT USING (true)"
    )
    assert (await scan(bench))["closed"] >= 1
    assert set(await list_findings(bench)) == {"people"}
    open_now = await list_findings(bench, "?rule=policy_always_true_read")
    assert open_now["countries"]["severity"] != "critical"


async def test_a_finding_stays_open_while_its_rows_are_read(workshop: Workshop) -> None:
    """No rule asks what a function of the project in a policy does; the probe does."""
    bench = await open_holes(workshop)
    await scan(bench)
    await bench.run(
        "ALTER TABLE people ENABLE ROW LEVEL SECURITY;"
        "CREATE FUNCTION is_shown() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true';"
        "CREATE POLICY odd ON people FOR SELECT USING (is_shown())"
    )
    await scan(bench)
    assert "people" in await list_findings(bench)
    await bench.run("DROP POLICY odd ON people")
    await scan(bench)
    assert "people" not in await list_findings(bench)


async def test_a_critical_finding_is_an_event_of_alerts_once(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    body = {"channel": "webhook", "target": "http://127.0.0.1:9/hook", "events": ["finding_critical"]}
    made = await bench.person.post(f"/api/connections/{bench.connection_id}/alerts", json=body)
    assert made.status_code == 201, made.text
    await scan(bench)
    path = f"/api/connections/{bench.connection_id}/alerts/{made.json()['id']}/deliveries"
    sent = await wait_until(lambda: bench.person.get(path), "a message", matches=lambda one: one.json()["deliveries"])
    (message,) = sent.json()["deliveries"]
    assert (message["event"], message["count"]) == (
        "finding_critical",
        len(await list_findings(bench, "?severity=critical")),
    )
    await scan(bench)
    rows = "SELECT count(*)::int FROM alert_events e JOIN alerts a ON a.id = e.alert_id"
    waiting = await run_sql(bench.product.settings.database_url.reveal(), f"{rows} WHERE a.id = '{made.json()['id']}'")
    assert waiting == [(0,)]


async def test_a_scan_changes_nothing_in_the_project(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    query = "SELECT relname, relacl, relrowsecurity FROM pg_class JOIN pg_stat_user_tables USING (relname) ORDER BY 1"
    held = "SELECT xmin::text, ctid::text, to_jsonb(p) AS row FROM people AS p"  # a change would make another version
    before = await bench.rows(query), await bench.rows(held)
    await scan(bench)
    assert (await bench.rows(query), await bench.rows(held)) == before
    assert not await bench.rows("SELECT FROM countries")
    assert not await bench.rows(
        "SELECT FROM pg_stat_activity WHERE state ~ 'in transaction' AND datname = current_database()"
    )


async def test_findings_stay_open_where_a_scan_did_not_look(workshop: Workshop) -> None:
    bench = await open_holes(workshop, HOLES + "CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO anon")
    await scan(bench)
    elsewhere = await scan(bench, schemas=["other"])
    assert (elsewhere["schemas"], elsewhere["schemasFrom"]) == (["other"], "request")
    assert set(await list_findings(bench)) == {"people", "countries"}


async def test_the_exposed_schemas_come_from_the_projects_setting(workshop: Workshop) -> None:
    bench = await open_holes(workshop, "CREATE SCHEMA api; CREATE TABLE api.open (id int)")
    await bench.run("GRANT USAGE ON SCHEMA api TO anon; GRANT SELECT ON api.open TO anon")
    name = (await bench.rows("SELECT current_database() AS name"))[0]["name"]
    await bench.run(f"ALTER DATABASE \"{name}\" SET pgrst.db_schemas = 'api, public'")
    found = await scan(bench)
    assert (found["schemas"], found["schemasFrom"]) == (["api", "public"], "project")
    assert set(await list_findings(bench)) == {"open"}


async def test_the_connections_settings_name_the_exposed_schemas(workshop: Workshop) -> None:
    bench = await open_holes(workshop, HOLES + "CREATE SCHEMA api; CREATE TABLE api.open (id int)")
    await bench.run("GRANT USAGE ON SCHEMA api TO anon; GRANT SELECT ON api.open TO anon")
    connection = f"/api/connections/{bench.connection_id}"
    changed = await bench.person.patch(connection, json={"schemas": ["api", "other", "api"]})
    assert changed.json()["schemas"] == ["api", "other"]
    found = await scan(bench)
    assert (found["schemas"], found["schemasFrom"]) == (["api", "other"], "connection")
    assert set(await list_findings(bench)) == {"open"}
    assert (await scan(bench, schemas=["public"]))["schemasFrom"] == "request"
    bodies: list[dict[str, Any]] = [{"schemas": []}, {"schemas": None}]
    cleared = [await bench.person.patch(connection, json=body) for body in bodies]
    assert [one.json()["schemas"] for one in cleared] == [None, None]
    assert (await scan(bench))["schemasFrom"] == "default"


@pytest.mark.parametrize("wrong", ["api", ["a" * 64], [""], ["a\x00b"], [7], [f"s{number}" for number in range(51)]])
async def test_schemas_that_cannot_be_are_refused(workshop: Workshop, wrong: Any) -> None:
    bench = await workshop.bench("")
    answer = await bench.person.patch(f"/api/connections/{bench.connection_id}", json={"schemas": wrong})
    assert read_refusal(answer) == (422, "validation_failed"), answer.text
    assert all(one["field"].startswith("schemas") for one in answer.json()["details"]), answer.text


async def test_the_settings_page_takes_schemas_as_postgrest_writes_them(workshop: Workshop) -> None:
    bench = await workshop.bench("")
    page = f"/c/{bench.connection_id}/settings"
    saved = await bench.person.post(f"{page}/schemas", data={"schemas": ' api, "My schema" ,,public'})
    assert saved.headers["location"] == f"{page}?done=schemas#schemas"
    connection = f"/api/connections/{bench.connection_id}"
    assert (await bench.person.get(connection)).json()["schemas"] == ["api", "My schema", "public"]
    refused = await bench.person.post(f"{page}/schemas", data={"schemas": f"api, {'a' * 64}"})
    assert refused.status_code == 422
    assert "is not a valid PostgreSQL name" in refused.text
    assert f"api, {'a' * 64}" in refused.text
    await bench.person.post(f"{page}/schemas", data={"schemas": " "})
    assert (await bench.person.get(connection)).json()["schemas"] is None


async def test_what_is_acknowledged_stays_so_until_its_time(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    await scan(bench)
    path = here(bench, f"/findings/{(await list_findings(bench))['countries']['id']}")
    until = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    wrong: list[dict[str, Any]] = [
        {"status": "acknowledged"},
        {"status": "acknowledged", "reason": "  "},
        {"status": "resolved"},
        {"status": "acknowledged", "reason": "x", "until": "2020-01-01T00:00:00Z"},
        {"status": "acknowledged", "reason": "x", "until": "2999-01-01T00:00:00Z"},
        {"status": "acknowledged", "reason": "x", "until": "2026-12-24T00:00:00"},
        {"status": "acknowledged", "reason": "x" * 501},
        {},
    ]
    for body in wrong:
        assert (await bench.person.patch(path, json=body)).status_code == 422, body
    done = await bench.person.patch(path, json={"status": "acknowledged", "reason": "It is public.", "until": until})
    assert done.status_code == 200, done.text
    assert done.json()["history"][0] | {"at": ""} == {
        "kind": "acknowledged", "at": "", "by": done.json()["history"][0]["by"], "reason": "It is public.", "sql": None
    }  # fmt: skip
    assert (await scan(bench))["opened"] == 0
    assert set(await list_findings(bench)) == {"people"}
    dsn = bench.product.settings.database_url.reveal()
    await run_sql(dsn, "UPDATE sentry_findings SET acknowledged_until = now() WHERE acknowledged_until IS NOT NULL")
    assert set(await list_findings(bench)) == {"people", "countries"}, "an acknowledgement ends at its time"
    assert (await bench.person.get(path)).json()["status"] == "open"
    await scan(bench)
    assert set(await list_findings(bench)) == {"people", "countries"}
    await bench.person.patch(path, json={"status": "acknowledged", "reason": "For good."})
    opened = await bench.person.patch(path, json={"status": "open"})
    assert [one["kind"] for one in opened.json()["history"]][:3] == ["opened_again", "acknowledged", "expired"]


async def end_silent(bench: Bench) -> int:
    database = Database(bench.product.settings.database_url)
    try:
        async with database.write_now() as session:
            return await fail_silent_scans(session, SILENCE, "The process that ran it has ended.")
    finally:
        await database.close()


async def test_one_scan_runs_at_a_time_and_a_lost_one_ends(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    dsn = bench.product.settings.database_url.reveal()
    answers = await asyncio.gather(*(bench.person.post(here(bench, "/scans")) for _ in range(4)))
    assert min(one.status_code for one in answers) == 202
    assert {read_refusal(one) for one in answers if one.status_code != 202} <= {(409, "scan_running")}
    lost = uuid4()
    await wait_until(
        lambda: bench.person.get(here(bench, "/scans")), "the scans",
        matches=lambda one: all(scan["status"] != "running" for scan in one.json()["scans"]),
    )  # fmt: skip
    await run_sql(
        dsn,
        f"INSERT INTO sentry_scans (id, connection_id, seen_at) VALUES ('{lost}', '{bench.connection_id}',"
        " now() - interval '1 hour')",
    )
    assert read_refusal(await bench.person.post(here(bench, "/scans"))) == (409, "scan_running")
    assert await end_silent(bench) == 1
    assert (await bench.person.get(here(bench, f"/scans/{lost}"))).json()["status"] == "failed"
    assert (await scan(bench))["status"] == "done"


async def test_a_login_that_may_read_little_never_gives_an_all_clear(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    await bench.run(f"REVOKE anon, authenticated FROM {OWNER}")
    try:
        found = await scan(bench)
        assert found["status"] == "done"
        detail = (
            await bench.person.get(here(bench, f"/findings/{(await list_findings(bench))['people']['id']}"))
        ).json()
        assert {one["outcome"] for one in detail["evidence"]["probes"]} == {"not_run"}
        assert detail["severity"] == "critical"
    finally:
        await bench.run(f"GRANT anon, authenticated TO {OWNER}")


@pytest.mark.parametrize("backend", ["api"])
async def test_a_project_without_a_connection_string_says_so(workshop: Workshop, backend: str) -> None:
    del backend
    bench = await workshop.bench("CREATE TABLE notes (id int PRIMARY KEY)")
    found = await scan(bench)
    assert found["status"] == "failed"
    assert "connection string" in found["failure"]


async def test_a_database_that_cannot_be_reached_fails_the_scan(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    await bench.run(f"ALTER ROLE {OWNER} NOLOGIN")
    try:
        found = await scan(bench)
        assert found["status"] == "failed", found
        assert found["failure"]
        assert "bench-pa55" not in found["failure"]
    finally:
        await bench.run(f"ALTER ROLE {OWNER} LOGIN")


async def test_strangers_and_viewers_cannot_do_what_is_not_theirs(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    await scan(bench)
    finding = (await list_findings(bench))["people"]["id"]
    stranger = await bench.product.sign_up(f"{uuid4().hex}@example.com")
    for path in ("/scans", f"/scans/{uuid4()}", "/findings", f"/findings/{finding}"):
        assert read_refusal(await stranger.get(here(bench, path))) == (404, "not_found")
    assert (await stranger.post(here(bench, "/scans"))).status_code == 404
    assert (await stranger.patch(here(bench, f"/findings/{finding}"), json={"status": "open"})).status_code == 404
    other = await open_holes(workshop)
    for path in (f"/findings/{finding}", "/findings/x", f"/scans/{uuid4()}", "/scans/x"):
        assert (await bench.person.get(here(other, path))).status_code == 404
    for query in ("?status=closed", "?severity=high", "?limit=0", "?limit=500", "?offset=-1"):
        assert (await bench.person.get(here(bench, f"/findings{query}"))).status_code == 422


async def test_writes_to_the_rows_of_others_are_tried_and_decide_how_bad_it_is(workshop: Workshop) -> None:
    claim = "current_setting('request.jwt.claims', true)::json ->> 'sub'"
    bench = await open_holes(
        workshop,
        f"""
        CREATE TABLE wide (id serial PRIMARY KEY, owner_id uuid NOT NULL, body text NOT NULL);
        CREATE TABLE given (LIKE wide INCLUDING ALL); CREATE TABLE kept (LIKE wide INCLUDING ALL);
        ALTER TABLE wide ENABLE ROW LEVEL SECURITY; ALTER TABLE given ENABLE ROW LEVEL SECURITY;
        ALTER TABLE kept ENABLE ROW LEVEL SECURITY;
        GRANT ALL ON wide, given, kept TO anon, authenticated;
        CREATE POLICY p ON wide USING (true);
        CREATE POLICY p ON given FOR UPDATE USING (owner_id::text = {claim}) WITH CHECK (true);
        CREATE POLICY p ON kept FOR UPDATE USING (owner_id::text = {claim}) WITH CHECK (true);
        REVOKE UPDATE ON kept FROM anon, authenticated; GRANT UPDATE (body, owner_id) ON kept TO authenticated;
        CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.owner_id := OLD.owner_id; RETURN NEW; END';
        CREATE TRIGGER keep BEFORE UPDATE ON kept FOR EACH ROW EXECUTE FUNCTION keep();
        """,
    )
    assert (await scan(bench))["status"] == "done"
    found = await list_findings(bench, "?rule=policy_always_true_write")
    detail = (await bench.person.get(here(bench, f"/findings/{found['wide']['id']}"))).json()
    outcomes = {(one["as"], one["verb"]): one["outcome"] for one in detail["evidence"]["probes"]}
    assert outcomes == {(who, verb): "rows" for who in ("anon", "user_a", "user_b") for verb in VERBS} | {
        (who, "select"): "rows" for who in ("anon", "user_a")
    }
    assert all(one["brought"] for one in detail["evidence"]["probes"])
    page = (await bench.person.get(f"/c/{bench.connection_id}/sentry/{found['wide']['id']}")).text
    assert "Delete another" in page
    found = await list_findings(bench, "?rule=update_check_lets_rows_change_hands")
    assert {name: one["severity"] for name, one in found.items()} == {"given": "warning", "kept": "info"}
    probes = [
        (await bench.person.get(here(bench, f"/findings/{found[name]['id']}"))).json()["evidence"]["probes"]
        for name in ("given", "kept")
    ]
    assert [(one["as"], one["attempt"], one["outcome"]) for (one,) in probes] == [
        ("user_a", "hand_over", "rows"), ("user_a", "hand_over", "not_run")
    ]  # fmt: skip
    assert "the trigger keep" in probes[1][0]["reason"]
