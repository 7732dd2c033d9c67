"""A quarantine closes an object at once and gives back exactly what was there."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from html import unescape
from random import Random
from typing import Any, cast
from urllib.parse import quote
from uuid import uuid4

import pytest

from basewarden.sentry.access.closing import read_excluded
from basewarden.sentry.access.state import AccessKind
from basewarden.sentry.rule import ObjectType, ScannedObject
from tests.fixtures.app import read_refusal
from tests.fixtures.bench import GUEST, OWNER, Workshop
from tests.sentry.access_shapes import HOSTILE, OBJECTS, make_objects, shuffle_access
from tests.sentry.change_bench import Crash, add_finding, crashing, open_bench
from tests.sentry.conftest import ScannedDatabase
from tests.sentry.test_scans import list_findings, scan

JSON = {"content-type": "application/json"}
_TYPES = {
    AccessKind.TABLE: ObjectType.TABLE,
    AccessKind.VIEW: ObjectType.VIEW,
    AccessKind.MATERIALIZED_VIEW: ObjectType.VIEW,
    AccessKind.SEQUENCE: ObjectType.SEQUENCE,
    AccessKind.FUNCTION: ObjectType.FUNCTION,
}


async def test_a_table_is_closed_and_given_back(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    await bench.shop.agent(name="Reader", dbRole="anon")
    before = await bench.dump()
    said = (await bench.quarantine(mode="preview")).json()
    assert said["target"] == "table public.people"
    assert said["cutOff"] == ["anon", "authenticated"]
    assert said["agents"] == ["Reader"]
    assert {(one["kind"], one["name"]) for one in said["dependents"]} == {
        ("view", "public.shown"),
        ("function", "public.counts"),
    }
    assert await bench.dump() == before
    closed = await bench.quarantine(reason=" until Monday ")
    assert closed.status_code == 200, closed.text
    found = await bench.read()
    assert found["status"] == "quarantined"
    event = found["history"][0]
    assert (event["kind"], event["reason"], event["sql"]) == ("quarantined", "until Monday", said["sql"])
    assert await bench.list_quarantined() == ["table public.people"]
    rights = "SELECT has_any_column_privilege(r, 'people', 'SELECT, UPDATE') AS may FROM unnest(ARRAY['anon', 'authenticated']) r"
    assert {row["may"] for row in await bench.shop.rows(rights)} == {False}
    for answer in (await bench.quarantine(), await bench.fix("preview")):
        assert read_refusal(answer) == (409, "finding_closed")
    decided = await bench.shop.person.patch(bench.path(), json={"status": "acknowledged", "reason": "x"})
    assert "Release it first" in decided.text
    assert (await bench.release()).status_code == 200
    assert await bench.dump() == before
    assert await bench.read_kinds() == ["released", "quarantined"]
    assert (await bench.read())["status"] == "open"
    assert await bench.list_quarantined() == []
    assert read_refusal(await bench.release()) == (409, "nothing_to_undo")


async def test_a_bucket_is_closed_and_given_back(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    await bench.shop.run(
        "GRANT SELECT ON storage.objects TO anon; CREATE POLICY all_of ON storage.objects USING (true)"
    )
    await bench.shop.run(
        "INSERT INTO storage.objects VALUES (gen_random_uuid(), 'it''s \\ \"odd\"', 'a'), (gen_random_uuid(), 'b', 'b')"
    )
    await bench.shop.run("GRANT USAGE ON SCHEMA storage TO anon")
    bucket = ScannedObject(ObjectType.BUCKET, "", 'it\'s \\ "odd"')
    bench = replace(bench, finding=await add_finding(bench.shop, bucket, "bucket_public_listing", None))
    before = await bench.dump()
    closed = await bench.quarantine()
    assert closed.status_code == 200, closed.text
    async with bench.shop.admin.transaction():
        await bench.shop.run("SET LOCAL ROLE anon")
        assert await bench.shop.rows("SELECT name FROM storage.objects") == [{"name": "b"}]
    assert await bench.shop.rows("SELECT public FROM storage.buckets") == [{"public": False}]
    await bench.shop.run("UPDATE storage.buckets SET public = true")
    refused = await bench.release()
    assert read_refusal(refused) == (409, "quarantine_drift")
    assert "It was not public and is." in refused.text
    await bench.shop.run("UPDATE storage.buckets SET public = false")
    assert (await bench.release()).status_code == 200
    assert await bench.dump() == before
    await bench.shop.run("ALTER TABLE storage.objects DISABLE ROW LEVEL SECURITY")
    refused = await bench.quarantine()
    assert read_refusal(refused) == (422, "login_may_not")
    assert "Row level security is off on storage.objects" in refused.text


async def test_a_bucket_is_not_closed_by_running_the_code_of_another_role(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    await bench.shop.run(
        "CREATE FUNCTION storage.noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER noted BEFORE UPDATE ON storage.buckets FOR EACH ROW EXECUTE FUNCTION storage.noted()"
    )
    bucket = ScannedObject(ObjectType.BUCKET, "", 'it\'s \\ "odd"')
    bench = replace(bench, finding=await add_finding(bench.shop, bucket, "bucket_public_listing", None))
    assert (await bench.quarantine()).status_code == 200, "the login's own, or a superuser's"
    await bench.shop.run("ALTER FUNCTION storage.noted() OWNER TO anon")
    refused = await bench.release()
    assert read_refusal(refused) == (422, "login_may_not")
    assert "It would run the function storage.noted" in refused.text
    assert await bench.shop.rows("SELECT public FROM storage.buckets") == [{"public": False}]
    await bench.shop.run("ALTER TABLE storage.buckets DISABLE TRIGGER noted")
    assert (await bench.release()).status_code == 200
    await bench.shop.run("ALTER TABLE storage.buckets ENABLE TRIGGER noted")
    refused = await bench.quarantine()
    assert read_refusal(refused) == (422, "login_may_not")
    assert await bench.shop.rows("SELECT public FROM storage.buckets") == [{"public": True}]
    await bench.shop.run(
        "DROP FUNCTION storage.noted CASCADE; CREATE FUNCTION storage.odd(text) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
        "CREATE OPERATOR storage.=== (FUNCTION = storage.odd, RIGHTARG = text); ALTER FUNCTION storage.odd OWNER TO anon;"
        "ALTER TABLE storage.buckets ADD CHECK (OPERATOR(storage.===) name)"
    )
    refused = await bench.quarantine()
    assert "It would run the function storage.odd" in refused.text
    assert await bench.shop.rows("SELECT public FROM storage.buckets") == [{"public": True}]


@pytest.mark.parametrize(
    ("condition", "bucket"),
    [
        ("(bucket_id <> 'a b'::text)", "a b"),
        ("((bucket_id)::text <> 'a b'::text)", "a b"),
        ("(bucket_id <> 'ab'::text)", "ab"),
        (r"(bucket_id <> E'it''s \\ (odd)'::text)", r"it's \ (odd)"),
        ("(bucket_id OPERATOR(pg_catalog.<>) 'a'::text)", "a"),
        ("(bucket_id OPERATOR(public.<>) 'a'::text)", None),
        ("(bucket_id <> ('a'::text)::character varying(0))", None),
        ("((bucket_id <> 'a'::text) OR true)", None),
        ("(name <> 'a'::text)", None),
        ("(bucket_id = 'a'::text)", None),
        ("true", None),
        (None, None),
        ("(bucket_id <> ", None),
    ],
)
def test_the_bucket_that_a_condition_excludes_is_read_from_its_parse_tree(
    condition: str | None, bucket: str | None
) -> None:
    assert read_excluded(condition) == bucket


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_the_grants_are_every_kind_of_object_is_given_back(workshop: Workshop, seed: int) -> None:
    bench = await open_bench(workshop, "CREATE SCHEMA storage; CREATE TABLE storage.buckets (id text, public boolean)")
    await bench.shop.run(
        "CREATE SCHEMA auth; CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'"
    )
    database = ScannedDatabase(bench.shop.dsn, cast(Any, bench.shop.admin), cast(Any, None))
    await make_objects(database, OWNER)
    random = Random(100 + seed)
    for key in OBJECTS:
        await shuffle_access(database, random, key, OWNER)
    for role in ('"sentry grants; -- too"', "sentry_grants"):
        await bench.shop.run(f"GRANT {role} TO {OWNER}")
    before = await bench.dump()
    done = []
    for key in OBJECTS:
        found = ScannedObject(_TYPES[key.kind], key.schema, key.name, None, key.arguments)
        one = replace(bench, finding=await add_finding(bench.shop, found))
        answer = await one.quarantine()
        if answer.status_code == 200:
            done.append(one)
        else:
            assert read_refusal(answer) == (409, "not_reachable"), answer.text
    assert len(done) >= 4
    for one in done:
        answer = await one.release()
        assert answer.status_code == 200, answer.text
    assert await bench.dump() == before


@pytest.mark.parametrize("step", ["before_commit", "after_commit"])
async def test_a_crash_leaves_no_quarantine_without_its_way_back(workshop: Workshop, step: str) -> None:
    bench = await open_bench(workshop)
    before = await bench.dump()
    with crashing(step), suppress(Crash):
        await bench.changes.quarantine(*bench.ids)
    if step == "before_commit":
        assert await bench.list_quarantined() == []
        assert await bench.dump() == before
        assert (await bench.quarantine()).status_code == 200
    assert await bench.list_quarantined() == ["table public.people"]
    assert (await bench.read())["status"] == "quarantined"
    with crashing(step), suppress(Crash):
        await bench.changes.release(*bench.ids)
    if step == "before_commit":
        assert (await bench.read())["status"] == "quarantined"
        assert (await bench.release()).status_code == 200
    assert (await bench.read())["status"] == "open"
    assert await bench.dump() == before


async def test_a_task_that_is_cancelled_anywhere_is_settled(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    before = await bench.dump()
    for milliseconds in (5, 15, 25, 40, 60, 90):
        task = asyncio.create_task(bench.changes.quarantine(*bench.ids))
        await asyncio.wait([task], timeout=milliseconds / 1000)
        task.cancel()
        await asyncio.wait([task])
        await bench.wait_settled()
        is_closed = (await bench.read())["status"] == "quarantined"
        assert (await bench.dump() == before) is not is_closed, milliseconds
        if is_closed:
            assert (await bench.release()).status_code == 200
            assert await bench.dump() == before


async def test_what_others_changed_meanwhile_is_not_overwritten(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    assert (await bench.quarantine()).status_code == 200
    await bench.shop.run(f"GRANT SELECT ON people TO {GUEST}")
    refused = await bench.release()
    assert read_refusal(refused) == (409, "quarantine_drift")
    assert refused.json()["details"][0]["difference"].startswith(f"{GUEST} has SELECT now, granted by ")
    page = f"/c/{bench.shop.connection_id}/sentry/{bench.finding}"
    shown = await bench.shop.person.post(f"{page}/release")
    assert shown.status_code == 409
    assert "End without giving back" in shown.text
    assert f"{GUEST} has SELECT now" in unescape(shown.text)
    ended = await bench.shop.person.post(f"{page}/release/end")
    assert ended.headers["location"] == f"{page}?done=ended"
    assert (await bench.read())["status"] == "open"
    assert (await bench.read_kinds())[0] == "quarantine_ended"
    assert read_refusal(await bench.quarantine()) == (409, "not_reachable")


async def test_a_scan_leaves_a_quarantine_and_notices_when_it_is_open_again(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    await bench.forget_findings()
    await scan(bench.shop)
    bench = replace(bench, finding=(await list_findings(bench.shop))["people"]["id"])
    assert (await bench.quarantine()).status_code == 200
    await scan(bench.shop)
    assert (await bench.read())["status"] == "quarantined"
    await bench.shop.run("GRANT SELECT ON people TO authenticated")
    await scan(bench.shop)
    found = await bench.read()
    assert (found["status"], found["history"][0]["kind"]) == ("open", "quarantine_lost")
    assert await bench.list_quarantined() == []
    assert (await bench.quarantine()).status_code == 200


@pytest.mark.parametrize("change", ["USING (true) WITH CHECK (true)", "WITH CHECK (true)", "TO anon"])
async def test_a_scan_notices_that_the_policy_of_a_closed_bucket_says_something_else(
    workshop: Workshop, change: str
) -> None:
    bench = await open_bench(workshop)
    bucket = ScannedObject(ObjectType.BUCKET, "", 'it\'s \\ "odd"')
    bench = replace(bench, finding=await add_finding(bench.shop, bucket, "bucket_public_listing", None))
    assert (await bench.quarantine()).status_code == 200
    await scan(bench.shop)
    assert (await bench.read())["status"] == "quarantined"
    name = (await bench.shop.rows("SELECT policyname AS name FROM pg_policies WHERE tablename = 'objects'"))[0]["name"]
    await bench.shop.run(f'ALTER POLICY "{name}" ON storage.objects {change}')
    await scan(bench.shop)
    found = await bench.read()
    assert (found["status"], found["history"][0]["kind"]) == ("open", "quarantine_lost")
    assert (await bench.quarantine()).status_code == 200
    await scan(bench.shop)
    assert (await bench.read())["status"] == "quarantined"


async def test_two_presses_at_once_close_it_once(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    answers = await asyncio.gather(*(bench.quarantine() for _ in range(3)))
    assert sorted(one.status_code for one in answers) == [200, 409, 409], [one.text for one in answers]
    assert await bench.list_quarantined() == ["table public.people"]
    answers = await asyncio.gather(*(bench.release() for _ in range(3)))
    assert sorted(one.status_code for one in answers) == [200, 409, 409], [one.text for one in answers]
    assert await bench.read_kinds() == ["released", "quarantined"]


async def test_what_the_login_may_not_do_is_said_with_the_sql(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    await bench.shop.run("ALTER TABLE people OWNER TO CURRENT_USER")
    before = await bench.dump()
    refused = await bench.quarantine()
    assert read_refusal(refused) == (422, "login_may_not")
    assert "REVOKE" in refused.json()["details"]["sql"]
    assert "who owns table public.people" in refused.text
    shown = await bench.shop.person.post(f"/c/{bench.shop.connection_id}/sentry/{bench.finding}/quarantine/try")
    assert shown.status_code == 422
    assert "SQL for the owner of the object" in shown.text
    await bench.shop.run(f"ALTER TABLE people OWNER TO {OWNER}; GRANT pg_read_all_data TO anon")
    try:
        refused = await bench.quarantine()
        assert read_refusal(refused) == (422, "login_may_not")
        assert "anon would still reach it" in refused.text
    finally:
        await bench.shop.run("REVOKE pg_read_all_data FROM anon")
    schema = ScannedObject(ObjectType.SCHEMA, "", "public")
    odd = replace(bench, finding=await add_finding(bench.shop, schema, "schema_create_granted"))
    assert read_refusal(await odd.quarantine()) == (409, "not_closable")
    gone = ScannedObject(ObjectType.TABLE, "public", HOSTILE)
    odd = replace(bench, finding=await add_finding(bench.shop, gone))
    assert read_refusal(await odd.quarantine()) == (409, "finding_changed")
    await bench.shop.run("ALTER TABLE people OWNER TO CURRENT_USER")
    assert await bench.dump() == before


async def test_editors_quarantine_and_viewers_see_it(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    editor, viewer = await bench.shop.member("editor"), await bench.shop.member("viewer")
    page = f"/c/{bench.shop.connection_id}/sentry"
    assert (await bench.quarantine(viewer)).status_code == 403
    assert (await viewer.get(f"{page}/{bench.finding}/quarantine")).status_code == 403
    assert (await viewer.post(f"{page}/{bench.finding}/quarantine/try")).status_code == 403
    asked = await editor.post(f"{page}/{bench.finding}/quarantine/try")
    for text in ("anon and authenticated lose every right to it.", "The view public.shown is made of it"):
        assert text in unescape(asked.text), text
    refused = await editor.post(f"{page}/{bench.finding}/quarantine", data={"reason": "x" * 501})
    assert refused.status_code == 422
    assert "x" * 501 in refused.text
    done = await editor.post(f"{page}/{bench.finding}/quarantine", data={"reason": "<b>why</b>"})
    assert done.headers["location"] == f"{page}/{bench.finding}?done=quarantined"
    for path in (f"/{bench.finding}", "/quarantines", "?status=quarantined"):
        shown = (await viewer.get(page + path)).text
        assert bench.finding in shown or "In quarantine" in shown
        assert "<b>why</b>" not in shown
        assert "/release" not in shown
    deletion = (await bench.shop.person.get(f"/c/{bench.shop.connection_id}/delete")).text
    assert "1 object stays in quarantine" in deletion
    assert f'href="{page}/{bench.finding}/release"' in (await editor.get(f"{page}/quarantines")).text
    assert (await editor.get(f"{page}/{bench.finding}/release")).status_code == 200
    assert (await editor.post(f"{page}/{bench.finding}/release")).status_code == 303
    assert "Nothing is in quarantine" in (await viewer.get(f"{page}/quarantines")).text


@pytest.mark.parametrize("bad", ["\x00", "a\x00b", "\ud800", "\u202e", "\x1b[31m"])
async def test_texts_that_no_database_holds_are_refused_by_their_field(workshop: Workshop, bad: str) -> None:
    bench = await open_bench(workshop)
    person, page = bench.shop.person, f"/c/{bench.shop.connection_id}/sentry"
    for method, path, body in (
        ("PATCH", "", {"status": "acknowledged", "reason": bad}),
        ("POST", "/quarantine", {"reason": bad}),
    ):
        sent = json.dumps(body).encode()
        answer = await person.request(method, bench.path(path), content=sent, headers=JSON)
        assert read_refusal(answer) == (422, "validation_failed"), (path, answer.text)
        assert "reason" in answer.text
    if bad == "\ud800":
        return  # no form and no address can send it
    for path in (f"/{bench.finding}/acknowledge", f"/{bench.finding}/quarantine"):
        answer = await person.post(page + path, data={"reason": bad, "time": "week"})
        assert answer.status_code == 422, (path, answer.text)
    for path in (f"{page}?rule=", f"/api/connections/{bench.shop.connection_id}/sentry/findings?rule="):
        assert (await person.get(path + quote(bad))).status_code == (422 if "\x00" in bad else 200), path
    assert (await bench.read())["status"] == "open"


async def test_to_look_at_the_page_touches_nothing_in_the_project(workshop: Workshop) -> None:
    """It tried the change: CREATE POLICY locks every file of the project out."""
    bench = await open_bench(workshop)
    bucket = ScannedObject(ObjectType.BUCKET, "", 'it\'s \\ "odd"')
    finding = await add_finding(bench.shop, bucket, "bucket_public_listing", None)
    page = f"/c/{bench.shop.connection_id}/sentry/{finding}/quarantine"
    async with bench.shop.admin.transaction():
        await bench.shop.run("LOCK TABLE storage.objects IN ACCESS SHARE MODE")
        looked = await bench.shop.person.get(page)
        assert looked.status_code == 200
        assert "Show whom it cuts off" in looked.text
        tried = await bench.shop.person.post(f"{page}/try", timeout=60)
        assert tried.status_code == 409
    tried = await bench.shop.person.post(f"{page}/try", timeout=60)
    assert "What gives it back" in tried.text


async def test_a_grant_of_a_role_that_the_login_cannot_become_is_said(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    other = f"sentry_{uuid4().hex}"
    await bench.shop.run(f"CREATE ROLE {other}; GRANT SELECT ON people TO {other} WITH GRANT OPTION")
    await bench.shop.run(f"SET ROLE {other}")
    await bench.shop.run("GRANT SELECT ON people TO anon")
    await bench.shop.run("RESET ROLE")
    before = await bench.dump()
    refused = await bench.quarantine()
    assert read_refusal(refused) == (422, "login_may_not")
    assert "permission denied to set role" in refused.text
    assert f'SET LOCAL ROLE "{other}"' in refused.json()["details"]["sql"]
    assert await bench.dump() == before
    await bench.shop.run(f"GRANT {other} TO {OWNER}")
    assert (await bench.quarantine()).status_code == 200
    await bench.shop.run(f"REVOKE {other} FROM {OWNER}")
    refused = await bench.release()
    assert read_refusal(refused) == (422, "login_may_not")
    assert "permission denied to set role" in refused.text
    await bench.shop.run(f"GRANT {other} TO {OWNER}")
    assert (await bench.release()).status_code == 200
    assert await bench.dump() == before
    await bench.shop.run(f"DROP OWNED BY {other}; DROP ROLE {other}")
