"""Schema versions through the product: stored once, by whom, how many, and who may read them."""

import asyncio
import dataclasses
import json
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from basewarden.db import Database
from basewarden.gateway import SCAN, Projects
from basewarden.jobs import Jobs
from basewarden.sentry.history import queries, structure
from basewarden.sentry.history.authors import find_author
from basewarden.sentry.history.comparing import compare_structures
from basewarden.sentry.history.reading import read_structure
from basewarden.sentry.history.recording import SchemaHistory
from basewarden.sentry.history.service import MOST_ON_A_PAGE
from basewarden.sentry.models import SchemaHead
from basewarden.sentry.rule import ObjectType, ScannedObject
from tests.fixtures.app import read_refusal
from tests.fixtures.bench import Backend, Bench, Workshop
from tests.fixtures.waiting import wait_until
from tests.sentry.change_bench import add_finding, open_bench
from tests.sentry.test_scans import here, list_findings, open_holes, scan

MAKER = """
    CREATE TABLE people (id int PRIMARY KEY, email text);
    CREATE FUNCTION make_it(name text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public
      AS $$ BEGIN EXECUTE format('CREATE TABLE %I (id int)', name); END $$;
    CREATE FUNCTION drop_it(name text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public
      AS $$ BEGIN EXECUTE format('DROP FUNCTION %I(text)', name); END $$;
"""


def path_of(bench: Bench, path: str = "") -> str:
    return f"/api/connections/{bench.connection_id}/schema/history{path}"


async def record(bench: Bench) -> None:
    await bench.product.registry.get(SchemaHistory).record(UUID(bench.connection_id))


async def read_history(bench: Bench, query: str = "") -> dict[str, Any]:
    answer = await bench.person.get(path_of(bench, query))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def list_versions(bench: Bench) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await read_history(bench))["versions"]
    return found


async def read_diff(bench: Bench, number: int, query: str = "") -> dict[str, Any]:
    answer = await bench.person.get(path_of(bench, f"/{number}/diff{query}"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_version_is_stored_when_something_changed(workshop: Workshop) -> None:
    bench = await workshop.bench(MAKER)
    assert (await read_history(bench))["versions"] == []
    await record(bench)
    await bench.run("INSERT INTO people VALUES (1, 'ada@secret.example')")
    await record(bench)
    (first,) = await list_versions(bench)
    assert (first["number"], first["by"]["cause"]) == (1, "first")
    assert first["summary"] == ["The first version, with 1 table, 0 views, 2 functions and 0 policies."]
    await bench.run("ALTER TABLE people ADD COLUMN age int; ALTER TABLE people ENABLE ROW LEVEL SECURITY")
    await record(bench)
    second, _ = await list_versions(bench)
    assert (second["number"], second["added"], second["changed"], second["removed"]) == (2, 1, 1, 0)
    assert (second["by"]["cause"], second["by"]["name"]) == ("outside", None)
    diff = await read_diff(bench, 2)
    assert (diff["from"], diff["total"], diff["nextOffset"]) == (1, 2, None)
    assert [one["sentence"] for one in diff["changes"]] == [
        "Table public.people: row level security is on.",
        "Column age of public.people was added: integer.",
    ]
    assert diff["changes"][1]["sql"] == 'ALTER TABLE "public"."people" ADD COLUMN "age" integer;'
    assert await read_diff(bench, 1) | {"at": ""} == {**first, "at": "", "from": None, "changes": [], "total": 0, "nextOffset": None}  # fmt: skip
    await bench.run("ALTER TABLE people DISABLE ROW LEVEL SECURITY; ALTER TABLE people DROP COLUMN age")
    await record(bench)
    assert (await read_diff(bench, 3, "?from=1"))["changes"] == []
    assert (await read_diff(bench, 3, "?limit=1"))["nextOffset"] == 1
    assert (await read_history(bench, "?limit=2"))["nextCursor"] == 2
    assert [one["number"] for one in (await read_history(bench, "?cursor=2"))["versions"]] == [1]


async def test_a_change_is_an_alert_that_holds_no_value_and_no_name_that_is_a_sentence(workshop: Workshop) -> None:
    bench = await workshop.bench(MAKER)
    body = {"channel": "webhook", "target": "http://127.0.0.1:9/hook", "events": ["schema_changed"]}
    made = await bench.person.post(f"/api/connections/{bench.connection_id}/alerts", json=body)
    await record(bench)
    await bench.run(
        "ALTER TABLE people ADD COLUMN age int DEFAULT 4711;"
        """CREATE TABLE "a prize waits at evil.example" (id int); CREATE INDEX "click it" ON people (email);"""
        "GRANT SELECT (email) ON people TO PUBLIC"
    )
    await record(bench)
    await record(bench)

    async def list_payloads() -> list[Any]:
        sent = await bench.query("SELECT payload FROM alert_deliveries WHERE alert_id = %s", made.json()["id"])
        return [json.loads(payload)["data"] for (payload,) in sent]

    (message,) = await wait_until(list_payloads, "a message")
    assert message["title"] == f"1 change of the schema was noticed on {message['connection']['name']}"
    (item,) = message["items"]
    assert item["url"].endswith("/schema/2")
    assert item["text"] == "A table was added, column age of people was added, an index of people was added and 1 more. Outside Basewarden."  # fmt: skip
    facts = {name: item["facts"][name] for name in ("version", "cause", "by", "added", "changed", "removed")}
    assert facts == {"version": 2, "cause": "outside", "by": None, "added": 4, "changed": 0, "removed": 0}
    assert not {"4711", "evil", "click"} & set(re.findall(r"\w+", json.dumps(message)))


async def find_authors(bench: Bench, since: int, next_xid: int) -> tuple[str | None, bool]:
    """Of all that changed since this version, whatever was stored meanwhile; and whether there were others."""
    registry, connection_id = bench.product.registry, UUID(bench.connection_id)
    project = await registry.get(Projects).get_direct(connection_id)
    async with registry.get(Database).read_only() as session, project.pool.acquire(SCAN) as connection:
        old = await queries.find_version(session, connection_id, since)
        assert old is not None
        read = await read_structure(connection)
        changes = compare_structures(structure.decode_structure(old.body), read.structure)
        head = SchemaHead(connection_id=connection_id, checked_at=old.at, next_xid=next_xid, unfinished=[])
        author = await find_author(session, head, changes, read)
    return author.name, author.is_shared


async def test_who_changed_the_schema_through_us_is_named(workshop: Workshop) -> None:
    bench = await workshop.bench(MAKER)
    agent = await bench.agent()
    assert (await agent.http.get("/people")).is_success
    await wait_until(lambda: list_versions(bench), "the first version")
    head = "SELECT next_xid FROM schema_heads WHERE connection_id = %s"
    ((next_xid,),) = await bench.query(head, bench.connection_id)
    write = await agent.write("POST", "/rpc/make_it", {"name": "made"})
    assert (await agent.http.get("/people")).is_success
    found = await wait_until(lambda: list_versions(bench), "a version", matches=lambda one: len(one) == 2)
    session = write.answer.headers["x-basewarden-session"]
    by = {"cause": "session", "name": "Robot", "isShared": False, "sessionId": session, "findingId": None}
    assert found[0]["by"] == by
    assert await find_authors(bench, 1, next_xid) == ("Robot", False)
    await bench.run("ALTER TABLE people ADD COLUMN age int")
    assert await find_authors(bench, 1, next_xid) == ("Robot", True)
    await agent.write("POST", "/rpc/drop_it", {"name": "make_it"})
    await record(bench)
    latest, *_ = await list_versions(bench)
    assert (latest["by"]["cause"], latest["by"]["name"]) == ("unknown", None)
    page = (await bench.person.get(f"/c/{bench.connection_id}/schema")).text
    assert "in a session" in page
    assert "Outside Basewarden, or by a function called through it" in page


async def test_a_fix_is_of_the_person_who_applied_it(workshop: Workshop) -> None:
    bench = await open_holes(workshop)
    await scan(bench)
    await wait_until(lambda: list_versions(bench), "the scan's version")
    finding = (await list_findings(bench))["people"]["id"]
    fixed = await bench.person.post(here(bench, f"/findings/{finding}/fix"), json={"mode": "apply"})
    assert fixed.status_code == 200, fixed.text
    await record(bench)
    latest, *_ = await list_versions(bench)
    assert (latest["by"]["cause"], latest["by"]["findingId"]) == ("fix", finding)
    assert "row level security is on" in latest["summary"][0]
    page = (await bench.person.get(f"/c/{bench.connection_id}/schema")).text
    assert "by a fix of the sentry" in page


async def test_who_changed_an_object_before_is_not_blamed(workshop: Workshop) -> None:
    """The catalog keeps the rows of an earlier author, of which others are changed later."""
    bench = await open_holes(workshop)
    agent = await bench.agent()
    await bench.run(MAKER.replace("CREATE TABLE people", "CREATE TABLE persons"))
    await scan(bench)
    await record(bench)
    await agent.write("POST", "/rpc/make_it", {"name": "made"})
    await record(bench)
    assert (await list_versions(bench))[0]["by"]["cause"] == "session"
    await bench.run("ALTER TABLE made ADD COLUMN age int")
    await record(bench)
    finding = (await list_findings(bench))["people"]["id"]
    fixed = await bench.person.post(here(bench, f"/findings/{finding}/fix"), json={"mode": "apply"})
    assert fixed.status_code == 200, fixed.text
    await record(bench)
    await bench.run("CREATE POLICY p ON people USING (true)")
    await record(bench)
    found = [one["by"] for one in await list_versions(bench)]
    assert [(one["cause"], one["name"], one["isShared"]) for one in (found[0], found[2])] == [
        ("unknown", None, False), ("unknown", None, False),
    ], found  # fmt: skip
    assert found[1]["cause"] == "fix"


async def test_a_change_that_had_not_ended_at_the_last_reading_has_its_author(workshop: Workshop) -> None:
    bench = await workshop.bench(MAKER)
    await record(bench)
    async with await psycopg.AsyncConnection.connect(bench.dsn) as other:
        ((xid,),) = await (await other.execute("SELECT pg_current_xact_id()::text::bigint")).fetchall()
        await other.execute("CREATE TABLE late (id int)")
        await bench.run("CREATE TABLE soon (id int)")
        await record(bench)
        head = "SELECT unfinished FROM schema_heads WHERE connection_id = %s"
        assert await bench.query(head, bench.connection_id) == [([xid],)]
        await other.commit()
    await record(bench)
    assert (await list_versions(bench))[0]["summary"] == [
        "Table public.late was added with 1 column, row level security off."
    ]


async def test_what_a_quarantine_takes_back_is_its_own(workshop: Workshop) -> None:
    """The policy that closed the bucket is gone, and no row of the catalog says who removed it."""
    bench = await open_bench(workshop)
    bucket = ScannedObject(ObjectType.BUCKET, "", 'it\'s \\ "odd"')
    bench = dataclasses.replace(bench, finding=await add_finding(bench.shop, bucket, "bucket_public_listing", None))
    await record(bench.shop)
    assert (await bench.quarantine()).status_code == 200
    await record(bench.shop)
    assert (await bench.release()).status_code == 200
    await bench.shop.run("CREATE TABLE other (id int)")
    await record(bench.shop)
    found = (await list_versions(bench.shop))[:2]
    assert [(one["by"]["cause"], one["by"]["findingId"]) for one in found] == [("quarantine", bench.finding)] * 2, found
    assert any("was removed" in one for one in found[0]["summary"])
    await bench.shop.run("DROP TABLE other")
    await record(bench.shop)
    assert (await list_versions(bench.shop))[0]["by"]["cause"] == "outside"


async def test_two_processes_store_each_version_once(workshop: Workshop) -> None:
    bench = await workshop.bench(MAKER)
    connection_id = UUID(bench.connection_id)
    databases = [Database(bench.product.settings.database_url) for _ in range(2)]
    projects = bench.product.registry.get(Projects)
    try:
        processes = [SchemaHistory(one, Jobs(one), projects) for one in databases]
        for number in range(4):
            await asyncio.gather(*(one.record(connection_id) for one in processes))
            await bench.run(f"CREATE TABLE t{number} (id int)")
        await asyncio.gather(*(one.note_version(connection_id, "another") for one in processes))
    finally:
        for one in databases:
            await one.close()
    key = f"schema_version:{bench.connection_id}"
    waiting = await bench.query("SELECT count(*) FROM procrastinate_jobs WHERE queueing_lock = %s", key)
    assert waiting == [(1,)]
    found = await list_versions(bench)
    assert [one["number"] for one in found][-4:] == [4, 3, 2, 1]
    assert [one["summary"] for one in found][-4:-1] == [
        [f"Table public.t{number} was added with 1 column, row level security off."] for number in (2, 1, 0)
    ]


async def test_old_versions_make_room(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = await workshop.bench(MAKER)
    monkeypatch.setattr(queries, "MOST_VERSIONS", 2)
    for number in range(4):
        await bench.run(f"CREATE TABLE t{number} (id int)")
        await record(bench)
    assert [one["number"] for one in await list_versions(bench)] == [4, 3]
    assert (await read_diff(bench, 3))["from"] is None
    monkeypatch.setattr(queries, "MOST_KEPT_BYTES", 10)
    await bench.run("DROP TABLE t1")
    await record(bench)
    assert [one["number"] for one in await list_versions(bench)] == [5]
    monkeypatch.setattr(structure, "MOST_BYTES", 10)
    await bench.run("DROP TABLE t2")
    await record(bench)
    found = await read_history(bench)
    assert (found["problem"], [one["number"] for one in found["versions"]]) == (
        "The schema is too large to be kept.", [5],
    )  # fmt: skip


async def test_versions_end_but_the_newest(workshop: Workshop) -> None:
    bench = await workshop.bench(MAKER)
    for number in range(3):
        await bench.run(f"CREATE TABLE t{number} (id int)")
        await record(bench)
    past = "UPDATE schema_versions SET at = now() - interval '9 days' WHERE connection_id = %s"
    await bench.query(past, bench.connection_id)
    async with bench.product.registry.get(Database).unit_of_work() as unit:
        assert await queries.delete_old_versions(unit, timedelta(days=8), 100) == 2
    assert [one["number"] for one in await list_versions(bench)] == [3]


async def refuse(person: httpx.AsyncClient, path: str) -> tuple[int, str]:
    return read_refusal(await person.get(path))


async def test_members_read_it_and_strangers_do_not(workshop: Workshop) -> None:
    bench = await workshop.bench(MAKER)
    await record(bench)
    viewer = await bench.member("viewer")
    assert (await viewer.get(path_of(bench))).status_code == 200
    assert (await viewer.get(path_of(bench, "/1/diff"))).status_code == 200
    stranger = await bench.product.sign_up("schema-stranger@example.com")
    for path in ("", "/1/diff"):
        assert await refuse(stranger, path_of(bench, path)) == (404, "not_found")
    for number in ("0", "2", "x", "1" * 30, "%C2%B2"):
        assert await refuse(viewer, path_of(bench, f"/{number}/diff")) == (404, "not_found"), number
        assert (await viewer.get(f"/c/{bench.connection_id}/schema/{number}")).status_code == 404
    assert await refuse(viewer, path_of(bench, "/1/diff?from=9")) == (404, "not_found")
    assert await refuse(viewer, path_of(bench, "?cursor=0")) == (422, "validation_failed")


async def test_names_are_shown_as_text(workshop: Workshop) -> None:
    bench = await workshop.bench(MAKER)
    await record(bench)
    await bench.run('CREATE TABLE "<b>x</b>\n;--" ("<i>" int); ALTER TABLE "<b>x</b>\n;--" ENABLE ROW LEVEL SECURITY')
    await record(bench)
    for path in ("", "/2"):
        page = (await bench.person.get(f"/c/{bench.connection_id}/schema{path}")).text
        assert "&lt;b&gt;x" in page
        assert "<b>x" not in page


async def test_a_page_of_long_views_is_cut(workshop: Workshop) -> None:
    """Its SQL is coloured while all other requests wait."""
    bench = await workshop.bench(MAKER)
    await record(bench)
    columns = ", ".join(f"1 AS a_rather_long_name_of_a_column_{number}" for number in range(300))
    for number in range(25):
        await bench.run(f"CREATE VIEW v{number} AS SELECT {columns}")
    await record(bench)
    assert sum(len(one["sql"]) for one in (await read_diff(bench, 2))["changes"]) > 2 * MOST_ON_A_PAGE
    page = (await bench.person.get(f"/c/{bench.connection_id}/schema/2")).text
    assert page.count("a_rather_long_name") < 25 * 300 / 2
    assert "View public.v24 was added" in page
    assert "more characters" in page


@pytest.mark.parametrize("backend", ["api"])
async def test_it_needs_a_connection_string(workshop: Workshop, backend: Backend) -> None:
    del backend
    bench = await workshop.bench(MAKER)
    assert await refuse(bench.person, path_of(bench)) == (409, "needs_postgres")
    assert await refuse(bench.person, path_of(bench, "/1/diff")) == (409, "needs_postgres")
    await record(bench)
    page = await bench.person.get(f"/c/{bench.connection_id}/schema")
    assert "Schema history needs a Postgres connection string" in page.text


async def test_a_deleted_person_is_no_longer_named(workshop: Workshop) -> None:
    bench = await workshop.bench(MAKER)
    await record(bench)
    person = UUID(int=7)
    await bench.query(
        "UPDATE schema_versions SET user_id = %s, actor_name = 'Ada' WHERE connection_id = %s",
        person,
        bench.connection_id,
    )
    async with bench.product.registry.get(Database).unit_of_work() as unit:
        assert await queries.anonymise_versions(unit, person, "A deleted person") == 1
    assert (await list_versions(bench))[0]["by"]["name"] == "A deleted person"
