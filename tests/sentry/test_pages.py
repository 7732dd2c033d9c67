"""The sentry's pages, used as a person without script would: from an empty page to findings, scans and decisions."""

import json
import re
from dataclasses import dataclass
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import pytest

from basewarden.core.ids import make_id
from basewarden.sentry.catalog_words import list_facts
from pgrest import quote_ident
from tests.fixtures.bench import Bench, Workshop
from tests.fixtures.html_forms import find_forms
from tests.fixtures.waiting import wait_until
from tests.sentry.test_scans import open_holes, scan

HOSTILE = "<img src=x onerror=alert(1)>\"'{{7*7}}"
HOLES = f"""
    CREATE TABLE people (id int PRIMARY KEY, email text, phone text);
    CREATE TABLE countries (id int PRIMARY KEY, name text);
    CREATE TABLE "{HOSTILE.replace('"', '""')}" (id int);
    INSERT INTO people SELECT n, 'ada' || n || '@secret.example', '0' FROM generate_series(1, 1200) AS n;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO anon;
"""


@dataclass(frozen=True)
class SentryBench:
    """A connection with holes; `path` is the list's."""

    shop: Bench

    @property
    def path(self) -> str:
        return f"/c/{self.shop.connection_id}/sentry"

    async def open(self, below: str = "", client: httpx.AsyncClient | None = None) -> str:
        return unescape((await self.get(below, client)).text)

    async def get(self, below: str = "", client: httpx.AsyncClient | None = None) -> httpx.Response:
        answer = await (client or self.shop.person).get(self.path + below)
        assert answer.status_code == 200, answer.text
        return answer

    async def post(self, below: str, client: httpx.AsyncClient | None = None, **typed: Any) -> httpx.Response:
        return await (client or self.shop.person).post(self.path + below, data=typed)

    async def find(self, name: str) -> str:
        """The id of the finding of the rule `rls_off` about a table."""
        answer = await self.shop.person.get(
            f"/api/connections/{self.shop.connection_id}/sentry/findings?rule=rls_off&limit=200"
        )
        return next(str(one["id"]) for one in answer.json()["findings"] if one["object"]["name"] == name)

    async def change(self, sql: str, *values: Any) -> None:
        """On the product's own database."""
        await self.shop.query(sql, *values)

    async def add_scan(self, status: str, **values: Any) -> str:
        """As it may end, or run."""
        scan_id = str(make_id())
        named = {"id": scan_id, "connection_id": self.shop.connection_id, "status": status, **values}
        names, places = ", ".join(named), ", ".join(["%s"] * len(named))
        await self.change(f"INSERT INTO sentry_scans ({names}) VALUES ({places})", *named.values())
        return scan_id


@pytest.fixture
async def bench(workshop: Workshop) -> SentryBench:
    return SentryBench(await open_holes(workshop, HOLES))


async def test_from_an_empty_page_to_a_finding_with_its_proof_and_fix(bench: SentryBench) -> None:
    empty = await bench.get()
    assert "Not scanned yet" in empty.text
    assert "How a scan goes" in empty.text
    form = next(find_forms(empty, re.compile(re.escape(f"{bench.path}/scans") + r"\Z")))
    answer = await form.submit(bench.shop.person, empty)
    assert (answer.status_code, answer.headers["location"]) == (303, bench.path)
    shown = await wait_until(bench.open, "the scan", matches=lambda one: "Last scan" in one)
    assert "A stranger read 1,000 rows or more, with email and phone." in shown
    assert "A stranger read 1 row." in shown, "one that the probe brought into the empty table"
    assert "because no setting of the project says which ones its API exposes" in shown
    people, countries = await bench.find("people"), await bench.find("countries")
    listed = await bench.open("?rule=rls_off")
    assert listed.index(f'"{bench.path}/{people}"') < listed.index(f'"{bench.path}/{countries}"'), "the worst first"
    page = await bench.open(f"/{people}")
    for text in (
        "Row level security is off, and anon may read",
        "with the public key, not signed in",
        "1,000 rows or more",
        "Rows were counted and not fetched.",
        "/rest/v1/people?select=*",
        "ENABLE ROW LEVEL SECURITY",
        "Trying changes nothing.",
        "About this rule",
        "Scan again",
        "When it is harmless",
        "What the catalog says",
        "A scan found it.",
    ):
        assert text in re.sub(r"</?span[^>]*>", "", page), text
    assert "@secret" not in page
    page = await bench.open(f"/{countries}")
    assert "the probe brought one; all of it was rolled back." in page


async def test_the_home_the_sidebar_and_the_palette_lead_to_it(bench: SentryBench) -> None:
    await scan(bench.shop)
    home = f"/c/{bench.shop.connection_id}"
    page = unescape((await bench.shop.person.get(home)).text)
    assert "critical finding" in page
    assert f'href="{bench.path}/{await bench.find("people")}"' in page
    assert re.search(r"open findings?, (it is|\d+) critical", page), "the sidebar counts it"
    palette = await bench.shop.person.get(f"/palette?in={bench.shop.connection_id}&q=sentry")
    assert f'action="{bench.path}/scans"' in palette.text or f"{bench.path}/scans" in palette.text
    assert bench.path in palette.text


async def test_a_rule_that_could_not_run_is_as_visible_as_a_finding(bench: SentryBench) -> None:
    rules = [
        {"rule": "rls_off", "state": "not_run", "reason": "The login may not look.", "findings": 0, "durationMs": 3},
        {"rule": "gone", "state": "failed", "reason": HOSTILE, "findings": 0, "durationMs": 5000},
        {"rule": "fine", "state": "ran", "reason": None, "findings": 0, "durationMs": 1400},
        {"rule": "part", "state": "ran", "reason": "Only the first 2,000.", "findings": 2000, "durationMs": 9},
        {"rule": "none", "state": "not_applicable", "reason": "There is no x.", "findings": 0, "durationMs": 0},
    ]
    done = await bench.add_scan("done", finished_at="2100-01-01", schemas=["public", "api"], schemas_from="project")
    await bench.change("UPDATE sentry_scans SET rules = %s::jsonb WHERE id = %s", json.dumps(rules), done)
    page = await bench.open()
    assert "2 rules could not run, 1 ran in part: there may be more than is listed" in page
    assert "No open findings, but not everything was looked at" in page
    assert "The login may not look." in page
    assert "Nothing found" not in page
    assert "which the project's API settings expose" in page
    assert HOSTILE not in (await bench.get()).text
    page = await bench.open(f"/scans/{done}")
    for text in (
        "could not run",
        "failed",
        "ran in part",
        "1 rule does not apply here",
        "1.4 s",
        "5.0 s",
        "There is no x.",
    ):
        assert text in page, text
    assert page.index(">gone<") < page.index(">fine<")
    assert HOSTILE not in (await bench.get(f"/scans/{done}")).text
    assert f'href="{bench.path}/scans/{done}"' in await bench.open("/scans")


async def test_a_clean_scan_says_how_many_rules_found_nothing(bench: SentryBench) -> None:
    rules = [{"rule": "rls_off", "state": "ran", "reason": None, "findings": 0, "durationMs": 3}]
    done = await bench.add_scan("done", finished_at="2100-01-01", schemas=["public"], schemas_from="default")
    await bench.change("UPDATE sentry_scans SET rules = %s::jsonb WHERE id = %s", json.dumps(rules), done)
    page = await bench.open()
    assert "Nothing found" in page
    assert "could not" not in page


async def test_a_running_scan_shows_how_far_it_is_and_follows_itself(bench: SentryBench) -> None:
    running = await bench.add_scan("running")
    page = await bench.open()
    assert "Scan in progress" in page
    assert "Now: " in page
    assert f'hx-get="{bench.path}/scans/{running}/progress"' in page
    assert f'href="{bench.path}" data-unscripted' in page
    assert f'action="{bench.path}/scans"' not in page
    assert (await bench.post("/scans")).headers["location"] == bench.path
    assert "rules waiting" in await bench.open(f"/scans/{running}")
    part = await bench.get(f"/scans/{running}/progress")
    assert "hx-refresh" not in part.headers
    assert "<html" not in part.text
    await bench.change(
        "UPDATE sentry_scans SET status = 'failed', finished_at = now(), failure = %s WHERE id = %s", HOSTILE, running
    )
    assert (await bench.get(f"/scans/{running}/progress")).headers["hx-refresh"] == "true"
    page = await bench.open()
    assert "The last scan failed" in page
    assert HOSTILE in page
    assert HOSTILE not in (await bench.get()).text
    assert f'action="{bench.path}/scans"' in page
    assert "This scan failed" in await bench.open(f"/scans/{running}")


async def test_a_finding_is_acknowledged_with_a_reason_and_opened_again(bench: SentryBench) -> None:
    await scan(bench.shop)
    one = await bench.find("countries")
    page = await bench.get(f"/{one}/acknowledge")
    (form,) = find_forms(page, re.compile(re.escape(f"{bench.path}/{one}/acknowledge") + r"\Z"))
    form.fill({"reason": "", "time": "week"})
    refused = await form.submit(bench.shop.person, page)
    assert refused.status_code == 422
    assert "Say why it may stay as it is." in refused.text
    form.fill({"reason": HOSTILE, "time": "week"})
    answer = await form.submit(bench.shop.person, page)
    assert answer.headers["location"] == f"{bench.path}/{one}?done=acknowledged"
    page = await bench.get(f"/{one}?done=acknowledged")
    assert HOSTILE not in page.text
    shown = unescape(page.text)
    assert "Acknowledged until " in shown
    assert "You, <time" in shown
    assert HOSTILE in shown
    assert f'href="{bench.path}/{one}"' not in await bench.open("?rule=rls_off")
    listed = await bench.open("?status=acknowledged")
    assert f'href="{bench.path}/{one}"' in listed
    assert "until <time" in listed
    answer = await bench.post(f"/{one}/reopen")
    assert answer.headers["location"] == f"{bench.path}/{one}?done=reopened"
    assert "Opened again by you" in await bench.open(f"/{one}")
    assert (await bench.post(f"/{one}/acknowledge", reason="it is public", time="ever")).status_code == 303
    assert "Acknowledged for good" in await bench.open(f"/{one}")
    assert "for good" in await bench.open("?status=acknowledged")
    assert (await bench.post(f"/{one}/acknowledge", reason="x" * 501)).status_code == 422
    assert (await bench.post(f"/{one}/acknowledge", reason="x", time="always")).status_code == 422


async def test_what_is_resolved_is_listed_apart_and_cannot_be_acknowledged(bench: SentryBench) -> None:
    await scan(bench.shop)
    one = await bench.find("countries")
    await bench.shop.run("DROP TABLE countries")
    await scan(bench.shop)
    page = await bench.open(f"/{one}")
    assert "Resolved: the last scan that looked found it no more" in page
    assert "Acknowledge" not in page
    assert f'href="{bench.path}/{one}"' in await bench.open("?status=resolved")
    refused = await bench.post(f"/{one}/acknowledge", reason="x")
    assert refused.status_code == 422
    assert "resolved by a scan" in refused.text


async def test_filters_are_links_and_long_lists_have_pages(bench: SentryBench) -> None:
    await scan(bench.shop)
    page = await bench.open("?severity=critical&rule=rls_off")
    assert f'href="{bench.path}/{await bench.find("people")}"' in page
    assert f'href="{bench.path}?rule=rls_off"' in page, "the filter by severity can be taken away"
    assert "No findings of this kind" in await bench.open("?rule=nothing")
    for odd in ("?severity=huge", "?status=gone", "?offset=-1", "?offset=x"):
        assert (await bench.shop.person.get(bench.path + odd)).status_code == 422, odd
    tables = "; ".join(f"CREATE TABLE t{n} (id int); GRANT SELECT ON t{n} TO anon" for n in range(60))
    await bench.shop.run(tables)
    await scan(bench.shop)
    page = await bench.open("?rule=rls_off")
    assert page.count("finding-proof") == 50
    assert "1 to 50, the worst first" in page
    page = await bench.open("?rule=rls_off&offset=50")
    assert "51 to 63, the worst first" in page
    assert page.count("finding-proof") == 13


async def test_hostile_names_of_objects_are_text(bench: SentryBench) -> None:
    await scan(bench.shop)
    one = await bench.find(HOSTILE)
    for below in ("", f"/{one}", f"/{one}/acknowledge"):
        page = await bench.get(below)
        assert HOSTILE not in page.text, below
        assert "<img" not in page.text, below
        assert HOSTILE in unescape(unescape(page.text)) or "onerror" in page.text, below


async def test_viewers_see_and_cannot_decide_and_strangers_see_nothing(bench: SentryBench) -> None:
    scanned = await scan(bench.shop)
    one = await bench.find("people")
    viewer, editor = await bench.shop.member("viewer"), await bench.shop.member("editor")
    assert f'action="{bench.path}/scans"' not in await bench.open(client=viewer)
    page = await bench.open(f"/{one}", viewer)
    assert "An editor or owner of this connection can acknowledge it." in page
    assert "Acknowledge…" not in page
    assert (await viewer.get(f"{bench.path}/{one}/acknowledge")).status_code == 403
    for below in ("/scans", f"/{one}/acknowledge", f"/{one}/reopen"):
        assert (await bench.post(below, viewer, reason="x")).status_code == 403, below
    assert "Acknowledge…" in await bench.open(f"/{one}", editor)
    stranger = await bench.shop.product.sign_up(f"{uuid4().hex}@example.com")
    shown = ("", f"/{one}", f"/{one}/acknowledge", "/scans", f"/scans/{scanned['id']}")
    for below in (*shown, f"/scans/{scanned['id']}/progress"):
        assert (await stranger.get(bench.path + below)).status_code == 404, below
    for below in ("/scans", f"/{one}/acknowledge", f"/{one}/reopen"):
        assert (await bench.post(below, stranger, reason="x")).status_code == 404, below


async def test_findings_and_scans_of_another_connection_are_not_there(workshop: Workshop, bench: SentryBench) -> None:
    scanned = await scan(bench.shop)
    other = SentryBench(await workshop.bench(""))
    one = await bench.find("people")
    for below in (f"/{one}", f"/{one}/acknowledge", f"/scans/{scanned['id']}", "/nothing", "/scans/nothing"):
        assert (await other.shop.person.get(other.path + below)).status_code == 404, below
    assert (await other.post(f"/{one}/acknowledge", reason="x")).status_code == 404


@pytest.mark.parametrize("backend", ["api"])
async def test_through_an_api_alone_it_asks_for_a_connection_string(workshop: Workshop) -> None:
    bench = SentryBench(await workshop.bench("CREATE TABLE t (id int PRIMARY KEY)"))
    page = await bench.open()
    assert "The sentry needs a Postgres connection string" in page
    assert f'href="/c/{bench.shop.connection_id}/settings"' in page
    assert f'action="{bench.path}/scans"' not in page
    assert (await bench.post("/scans")).headers["location"] == bench.path
    assert "Scan in progress" not in await bench.open()
    viewer = await bench.shop.member("viewer")
    assert "An owner of this connection can add one" in await bench.open(client=viewer)


def test_what_the_catalog_says_is_shown_in_words() -> None:
    catalog = {
        "roles": ["anon"],
        "is_definer": True,
        "rights": {"anon": ["select"]},
        "policies": [{"name": "all", "check": None, "using": "true", "is_permissive": True, "roles": ["anon", "x"]}],
        "columns": [],
    }
    assert list_facts(catalog) == [
        ("Known of it", ["It runs with its owner's rights."]),
        ("May be used by", ["anon: read"]),
    ]


def test_other_facts_keep_their_names() -> None:
    catalog = {"has_rls": False, "is_odd": False, "installed": "1.0", "names": ["a", "b"], "roles": ["anon"]}
    assert list_facts(catalog) == [
        ("Known of it", ["Row level security is off."]),
        ("Installed", ["1.0"]),
        ("Names", ["a, b"]),
        ("Reached by", ["anon"]),
    ]


async def test_a_policy_is_shown_as_sql_with_its_cause_marked_and_choices_to_fix_it(bench: SentryBench) -> None:
    await bench.shop.run(
        "CREATE TABLE notes (id int PRIMARY KEY, owner text, email text); ALTER TABLE notes ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY visible ON notes FOR SELECT USING (true);"
        f"CREATE POLICY {quote_ident(HOSTILE)} ON notes FOR UPDATE USING (owner = current_user);"
        "GRANT SELECT, UPDATE ON notes TO anon;"
    )
    await scan(bench.shop)
    answer = await bench.shop.person.get(
        f"/api/connections/{bench.shop.connection_id}/sentry/findings?rule=policy_always_true_read"
    )
    page = (await bench.get(f"/{answer.json()['findings'][0]['id']}")).text
    assert HOSTILE not in page
    shown = re.sub(r"</?span[^>]*>|&#34;", "", page)
    assert re.findall(r"<mark[^>]*>\s*(.*)\n", shown) == ["USING (true)"]
    assert "1 other policy of the table" in shown
    assert "Everyone reads the rows, without email" in shown
    assert "GRANT SELECT (id, owner) ON public.notes TO anon;" in shown
    assert "DROP POLICY visible ON public.notes;" in shown


async def test_findings_are_sorted_by_what_they_are_about(bench: SentryBench) -> None:
    await scan(bench.shop)
    page = await bench.open("?rule=rls_off&order=name")
    assert page.index(await bench.find("countries")) < page.index(await bench.find("people"))
    assert f'href="{bench.path}?rule=rls_off"' in page
    assert (await bench.shop.person.get(f"{bench.path}?order=nonsense")).status_code == 422
