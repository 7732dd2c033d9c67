"""A fix is tried, applied, and taken back exactly; a crash in between loses nothing."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import unescape
from typing import Any
from unittest.mock import patch
from uuid import UUID

import httpx
import pytest

from basewarden.accounts import Limit
from basewarden.sentry import service as service_module
from basewarden.sentry.changes import service as changes_module
from basewarden.sentry.changes.queries import list_changed_since
from basewarden.sentry.changes.transaction import ChangeTransaction
from basewarden.sentry.changes.trying import FixTrial, TriedFix, try_fix
from basewarden.sentry.rule import ObjectType, ScannedObject
from basewarden.sentry.rules import list_rules
from basewarden.sentry.scans.running import run_rule
from tests.fixtures.app import PASSWORD, read_refusal
from tests.fixtures.bench import Workshop
from tests.fixtures.html_forms import find_forms
from tests.fixtures.waiting import wait_until
from tests.sentry.change_bench import RLS_OFF, ChangeBench, Crash, add_finding, add_stale_member, crashing, open_bench
from tests.sentry.conftest import open_pool
from tests.sentry.test_scans import list_findings, scan


async def test_a_fix_is_tried_applied_and_undone(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    before = await bench.dump()
    tried = (await bench.fix("preview")).json()
    assert (tried["closes"], tried["reason"], tried["sql"]) == (True, None, RLS_OFF.format("people")), tried
    assert [(one["as"], one["outcome"], one["rows"]) for one in tried["probesBefore"]] == [
        ("anon", "rows", 2),
        ("user_a", "rows", 2),
    ]
    assert [one["outcome"] for one in tried["probesAfter"]] == ["none", "none"]
    assert tried["breaks"] == [
        f"{who} read rows before, and reads none after." for who in ("A stranger", "Anyone who signs up")
    ]
    assert tried["inverse"] == 'ALTER TABLE "public"."people" DISABLE ROW LEVEL SECURITY;'
    assert await bench.dump() == before, "trying changes nothing"
    applied = await bench.fix()
    assert applied.status_code == 200, applied.text
    assert applied.json()["status"] == "applied"
    found = await bench.read()
    assert found["status"] == "resolved"
    assert (found["history"][0]["kind"], found["history"][0]["sql"]) == ("fix_applied", RLS_OFF.format("people"))
    assert await bench.dump() != before
    assert read_refusal(await bench.fix()) == (409, "finding_closed")
    undone = await bench.undo()
    assert undone.status_code == 200, undone.text
    assert await bench.dump() == before
    assert (await bench.read())["status"] == "open"
    assert await bench.read_kinds() == ["fix_undone", "fix_applied"]
    assert read_refusal(await bench.undo()) == (409, "nothing_to_undo")
    assert "ada@secret" not in str(await bench.own("SELECT before, after, sql, inverse FROM sentry_changes"))


async def test_fixes_and_quarantines_are_not_tried_without_end(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them locks what it tries to change, and requests wait."""
    bench = await open_bench(workshop)
    monkeypatch.setattr(changes_module, "HOURLY_PREVIEWS", Limit(2, 60 * 60))
    assert (await bench.fix("preview")).status_code == 200
    assert (await bench.quarantine(mode="preview")).status_code == 200
    for refused in (await bench.fix("preview"), await bench.quarantine(mode="preview")):
        assert refused.status_code == 429, refused.text
        assert int(refused.headers["retry-after"]) > 0
    assert (await bench.fix()).status_code == 200


async def test_a_scan_of_other_schemas_leaves_a_fix_as_it_was(workshop: Workshop) -> None:
    """The rule was asked for the schemas of the last scan only, and so did not find it any more."""
    bench = await open_bench(workshop)
    assert (await scan(bench.shop, schemas=["elsewhere"]))["status"] == "done"
    tried = await bench.fix("preview")
    assert tried.status_code == 200, tried.text
    assert tried.json()["closes"]
    assert (await bench.fix()).status_code == 200


async def test_what_changed_after_the_fix_is_not_undone_with_it(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    assert (await bench.fix()).status_code == 200
    await bench.shop.run("CREATE POLICY own ON people FOR SELECT TO authenticated USING (id = 7)")
    refused = await bench.undo()
    assert read_refusal(refused) == (409, "fix_drift")
    assert refused.json()["details"] == [{"object": "table public.people", "difference": "The policy own is new."}]
    assert (await bench.read())["status"] == "resolved"
    await bench.shop.run("DROP POLICY own ON people")
    assert (await bench.undo()).status_code == 200


@pytest.mark.parametrize("step", ["before_commit", "after_commit"])
async def test_a_crash_leaves_no_fix_without_its_inverse(workshop: Workshop, step: str) -> None:
    bench = await open_bench(workshop)
    before = await bench.dump()
    with crashing(step), suppress(Crash):
        await bench.changes.apply_fix(*bench.ids)
    assert await bench.list_statuses() == ["applying"]
    if step == "before_commit":
        assert (await bench.read())["status"] == "open"
        assert await bench.dump() == before
        assert await bench.list_statuses() == ["failed"]
        assert (await bench.fix()).status_code == 200
    assert (await bench.read())["status"] == "resolved"
    assert await bench.read_kinds() == ["fix_applied"]
    fixed = await bench.dump()
    with crashing(step), suppress(Crash):
        await bench.changes.undo_fix(*bench.ids)
    if step == "before_commit":
        assert (await bench.read())["status"] == "resolved"
        assert await bench.dump() == fixed
        assert (await bench.undo()).status_code == 200
    assert (await bench.read())["status"] == "open"
    assert await bench.dump() == before


async def test_the_catalog_says_what_became_of_a_transaction_that_is_forgotten(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    for step, status in (("before_commit", "open"), ("after_commit", "resolved")):
        with crashing(step), suppress(Crash):
            await bench.changes.apply_fix(*bench.ids)
        await bench.own("UPDATE sentry_changes SET xid = 9000000000000000000 WHERE status = 'applying'")
        assert (await bench.read())["status"] == status, step


async def test_a_connection_that_is_lost_while_committing_is_looked_after(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    before = await bench.dump()
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state = 'idle in transaction' AND pid <> pg_backend_pid()"
    )
    with killing(bench, kill):
        answer = await bench.fix()
    assert answer.status_code == 503, answer.text
    assert "Look again in a moment" in answer.json()["message"]
    assert (await bench.read())["status"] == "open"
    assert await bench.dump() == before
    assert (await bench.fix()).status_code == 200


@contextmanager
def killing(bench: ChangeBench, kill: str) -> Iterator[None]:
    """The project's database ends the db session at the moment of its COMMIT."""
    commit = ChangeTransaction.commit

    async def kill_and_commit(transaction: ChangeTransaction) -> None:
        await bench.shop.run(kill)
        await commit(transaction)

    with patch.object(ChangeTransaction, "commit", kill_and_commit):
        yield


async def test_what_a_fix_cannot_do_is_said_and_not_done(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    people = ScannedObject(ObjectType.TABLE, "public", "people")
    before = await bench.dump()
    # another fix than the rule's own, one that needs a person, one whose rule finds nothing, one that is not ours to undo
    cases = [
        ("rls_off", "GRANT ALL ON people TO anon;", "finding_changed"),
        ("policy_signed_in_is_not_owner", None, "fix_refused"),
        ("rls_policies_but_off", RLS_OFF.format("people"), "finding_changed"),
        ("no_such_rule", "SELECT 1;", "fix_refused"),
    ]
    for rule, sql, code in cases:
        await bench.forget_findings()
        odd = ChangeBench(bench.shop, await add_finding(bench.shop, people, rule, sql))
        for mode in ("preview", "apply"):
            assert read_refusal(await odd.fix(mode)) == (409, code), rule
    assert await bench.dump() == before
    await bench.shop.run("CREATE INDEX one ON people (email); CREATE INDEX two ON people (email)")
    doubled = next(one for one in list_rules() if one.id == "duplicate_index")
    async with open_pool(bench.shop.dsn) as acquire:
        (found,) = (await run_rule(acquire, doubled, ["public"])).found
    odd = ChangeBench(bench.shop, await add_finding(bench.shop, found.hit.object, doubled.id, found.verdict.fix))
    tried = (await odd.fix("preview")).json()
    assert (tried["closes"], tried["inverse"]) == (True, None)
    assert "put back exactly" in tried["reason"]
    assert read_refusal(await odd.fix()) == (409, "fix_not_reversible")


async def test_a_fix_waits_two_seconds_for_a_table_and_two_presses_do_not_meet(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    async with bench.shop.admin.transaction():
        await bench.shop.run("LOCK TABLE people IN ACCESS SHARE MODE")
        assert read_refusal(await bench.fix()) == (409, "object_locked")
    assert (await bench.read())["status"] == "open"
    answers = await asyncio.gather(bench.fix(), bench.fix())
    assert sorted(one.status_code for one in answers) == [200, 409], [one.text for one in answers]
    assert await bench.read_kinds() == ["fix_applied"]
    assert (await bench.list_statuses()).count("applied") == 1


async def test_a_scan_that_began_before_a_fix_does_not_open_its_finding_again(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    await bench.forget_findings()
    await scan(bench.shop)
    found = (await list_findings(bench.shop))["people"]
    fixed = ChangeBench(bench.shop, found["id"])
    stored: list[bool] = []
    store = list_changed_since

    async def fix_first(*arguments: Any) -> set[UUID]:
        stored.append((await fixed.fix()).status_code == 200)
        return await store(*arguments)

    with patch.object(service_module, "list_changed_since", fix_first):
        await scan(bench.shop)
    assert stored == [True]
    assert await fixed.read_kinds() == ["fix_applied", "opened"]
    await scan(bench.shop)
    assert (await fixed.read())["status"] == "resolved"


async def test_a_login_that_does_not_own_the_table_gets_the_sql_for_its_owner(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    await bench.shop.run("ALTER TABLE people OWNER TO CURRENT_USER")
    for mode in ("preview", "apply"):
        refused = await bench.fix(mode)
        assert read_refusal(refused) == (422, "login_may_not")
        assert refused.json()["details"]["sql"] == RLS_OFF.format("people")
    assert (await bench.read())["status"] == "open"


async def test_only_owners_with_a_recent_sign_in_apply_a_fix(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    other = await open_bench(workshop)
    for role in ("viewer", "editor"):
        member = await bench.shop.member(role)
        assert (await bench.fix("preview", member)).status_code == 403
        assert (await member.delete(bench.path("/fix"))).status_code == 403
    for what in ("/fix", "/quarantine"):
        path = other.path(what, bench.finding)
        assert read_refusal(await bench.shop.person.post(path, json={"mode": "preview"})) == (404, "not_found")
        assert read_refusal(await bench.shop.person.delete(path)) == (404, "not_found")


async def test_applying_asks_who_one_is_and_a_page_keeps_what_it_showed(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    old = await add_stale_member(bench.shop, "owner")
    assert (await bench.fix("preview", old)).status_code == 200
    assert read_refusal(await bench.fix("apply", old)) == (403, "reauth_required")
    assert read_refusal(await old.delete(bench.path("/fix"))) == (403, "reauth_required")
    page = f"/c/{bench.shop.connection_id}/sentry/{bench.finding}"
    stale = await old.post(f"{page}/fix")
    assert stale.status_code == 403
    for text in ("Confirm your identity", "What takes it back", "Before and after"):
        assert text in unescape(stale.text), text
    wrong = await old.post(f"{page}/fix", data={"confirmPassword": "a-wrong-one"})
    assert wrong.status_code == 422
    assert "a-wrong-one" not in wrong.text
    done = await old.post(f"{page}/fix", data={"confirmPassword": PASSWORD})
    assert (done.status_code, done.headers["location"]) == (303, f"{page}?done=fixed")


async def test_the_pages_lead_from_the_finding_to_the_fix_and_back(workshop: Workshop) -> None:
    bench = await open_bench(workshop)
    person, page = bench.shop.person, f"/c/{bench.shop.connection_id}/sentry/{bench.finding}"
    finding = await person.get(page)
    (press,) = find_forms(finding, re.compile(re.escape(f"{page}/fix/try")))
    tried = await press.submit(person, finding)
    breaks = unescape(tried.text).partition("What stops working")[2].partition("What takes it back")[0]
    assert "Anyone who signs up read rows before" in breaks
    assert "A stranger" not in breaks, "to close it is what the fix is for"
    (form,) = find_forms(tried, re.compile(re.escape(f"{page}/fix") + r"\Z"))
    applied = await form.submit(person, tried)
    assert applied.headers["location"] == f"{page}?done=fixed"
    shown = unescape((await person.get(f"{page}?done=fixed")).text)
    for text in ("The fix was applied.", "the rule no longer finds it", "The fix was applied by you"):
        assert text in shown, text
    await bench.shop.run("ALTER TABLE people FORCE ROW LEVEL SECURITY")
    refused = await person.post(f"{page}/undo-fix")
    assert refused.status_code == 409
    assert "FORCE ROW LEVEL SECURITY was off and is on." in unescape(refused.text)
    await bench.shop.run("ALTER TABLE people NO FORCE ROW LEVEL SECURITY")
    asked = await person.get(f"{page}/undo-fix")
    (form,) = find_forms(asked, re.compile(re.escape(f"{page}/undo-fix")))
    assert (await form.submit(person, asked)).headers["location"] == f"{page}?done=unfixed"
    assert "No fix of this finding holds" in (await person.get(f"{page}/undo-fix")).text
    await bench.shop.run("ALTER TABLE people OWNER TO CURRENT_USER")
    refused = await person.post(f"{page}/fix/try")
    assert refused.status_code == 422
    assert "SQL for the owner of the object" in refused.text


@pytest.mark.parametrize("backend", ["api"])
async def test_through_an_api_alone_nothing_is_changed(workshop: Workshop, backend: str) -> None:
    del backend
    shop = await workshop.bench("CREATE TABLE people (id int PRIMARY KEY)")
    people = ScannedObject(ObjectType.TABLE, "public", "people")
    bench = ChangeBench(shop, await add_finding(shop, people))
    answers = [await bench.fix("preview"), await bench.fix(), await bench.undo(), await bench.quarantine()]
    for answer in (*answers, await bench.release()):
        assert read_refusal(answer) == (409, "needs_postgres"), answer.text
    assert "/quarantine" not in (await shop.person.get(f"/c/{shop.connection_id}/sentry/{bench.finding}")).text


async def test_requests_that_wait_for_its_lock_do_not_keep_a_fix_from_committing(workshop: Workshop) -> None:
    """They had all connections that it could have taken to look once more, and waited for it."""
    bench = await open_bench(workshop)
    agents = [await bench.shop.agent(name=f"Reader {number}") for number in range(3)]
    reads: list[asyncio.Task[httpx.Response]] = []
    waiting = (
        "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )

    async def try_and_be_busy(transaction: ChangeTransaction, fix: TriedFix) -> FixTrial:
        trial = await try_fix(transaction, fix)
        reads.extend(asyncio.create_task(one.http.get("/people", timeout=60)) for one in agents for _ in range(8))
        await wait_until(lambda: bench.shop.rows(waiting), "the reads", matches=lambda rows: int(rows[0]["n"]) >= 15)
        return trial

    with patch.object(changes_module, "try_fix", try_and_be_busy):
        applied = await bench.fix()
    assert applied.status_code == 200, applied.text
    assert {(await one).status_code for one in reads} <= {200, 504}
