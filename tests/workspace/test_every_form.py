"""Every form of every page, submitted as a browser without script does: exactly its fields, refused first, then corrected."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx
import pytest
from pyotp import TOTP
from starlette.routing import compile_path

from basewarden.accounts import Purpose, make_operator_link
from basewarden.db import Database
from basewarden.demo.data import EMAIL as DEMO_EMAIL
from tests.fakes.dodo import FakeDodo, Selling
from tests.fakes.github import FakeGitHub, complete_flow, make_person
from tests.fixtures.app import PASSWORD, ServedProduct
from tests.fixtures.everything import (
    INVITATION_TOKEN,
    INVITED,
    OWNER,
    add_passkey,
    fill_pages,
    open_client,
    run,
)
from tests.fixtures.html_forms import TYPED, HtmlForm, find_forms, read_forms
from tests.fixtures.page_list import (
    SETTINGS,
    VISITOR_PAGES,
    list_account_pages,
    list_connection_pages,
)
from tests.fixtures.postgres import PostgresServer
from tests.rules.test_page_list import list_page_routes
from tests.workspace.conftest import Store

ANNA = "anna@example.com"
NEW_PASSWORD = "a short swim in the lake"
OTHER = "a slow boat on the river"


@dataclass(frozen=True)
class FormCase:
    """A form: the page that has it, what is refused, what is typed then, and what the page says to which it leads.

    `bad` None: there is nothing in it that could be refused. Texts may name facts of the test in braces.
    """

    route: str
    page: str
    shows: str
    good: dict[str, str] = field(default_factory=dict)
    bad: dict[str, str] | None = None
    status: int = 303


GRANT = {"email": OWNER, "plan": "hosted", "until": "2027-06-30", "note": "thanks"}
MESSAGE = {"name": "Ada", "email": "ada@example.com", "message": "It does not start.\n\nWhat now?"}
ACCOUNT = {"name": "Anna", "email": ANNA, "password": PASSWORD}
PASSWORDS = {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}
VISITOR_CASES = (
    FormCase("/contact", "/contact", "Message sent", MESSAGE, {**MESSAGE, "email": "nowhere"}),
    FormCase("/signup", "/signup", "We sent you a link", ACCOUNT, {**ACCOUNT, "password": "password"}),
    FormCase("/forgot", "/forgot", "we sent a link", {"email": ANNA}, {"email": ""}),
    FormCase("/verify-email/{token}", "{verify}", "Your email address is confirmed"),
    FormCase("/reset/{token}", "{reset}", "Your password was changed", {"password": OTHER}, {"password": "tiny"}),
    FormCase(
        "/signin",
        "/signin",
        "Connections",
        {"email": ANNA, "password": OTHER},
        {"email": ANNA, "password": "a-wrong-one"},
    ),
    FormCase("/signout", "/connections", "You are signed out."),
)
CONNECTION = "/c/{connection_id}"
TABLE = f"{CONNECTION}/data/{{table}}"
ALERT = f"{CONNECTION}/alerts/{{alert_id}}"
FINDING = f"{CONNECTION}/sentry/{{finding_id}}"
MEMBER_PAGE = "{home}/members/{member}"
NO_REASON = {"reason": ""}
WHY = ({"reason": "looked into it"}, {"reason": "two" * 67})
"""What a release asks for, and what is too long."""
SECURITY = "{home}/sentry/tables/public.lamps"
TRIALS = ({"claims": "", "command": "select"}, {"claims": "[]", "command": "insert", "row": '{{"name": "x"}}'})
NO_TEXT = {"text": ""}
SITES = ({"url": "{origin}/docs"}, {"url": "ftp://shop.example"})
CONNECTION_CASES = (
    FormCase(
        "/connections/new",
        "/connections/new",
        "Connected. Create an agent next.",
        {"postgresUrl": "{dsn}", "url": "", "by": "postgres"},
        {"name": "Second", "environment": "staging", "url": "nowhere", "by": "project"},
    ),
    FormCase(f"{CONNECTION}/first-steps/dismiss", "{page}", "Health"),
    FormCase(
        f"{TABLE}/+new", "{lamps}/+new", "Torch", {"v.name": "Torch", "v.shade": "dark"}, {"v.note": "no <b>name"}
    ),
    FormCase(
        f"{TABLE}/{{key}}",
        "{lamps}/2?edit=1",
        "41.50",
        {"v.price": "41.50"},
        {"v.name": "Night lamp", "v.note": "two\nlines", "v.price": "forty"},
    ),
    FormCase(f"{TABLE}/+delete", "{lamps}/+delete?key=2", "deleted"),
    FormCase(
        f"{CONNECTION}/agents",
        "{home}/agents/new?template=support",
        "is ready",
        {"tables": "", "table": "public.lamps"},
        {"name": "lamp-bot", "tables": "nosuchtable", "maxRowsPerWrite": "12", "claims": '{{"sub": "1"}}'},
        status=201,
    ),
    FormCase(f"{CONNECTION}/sessions/{{session_id}}/release", "{home}/sessions/{session}", "Session released.", *WHY),
    FormCase(f"{CONNECTION}/sessions/{{session_id}}/freeze", "{home}/sessions/{session}", "Session frozen."),
    FormCase(
        f"{CONNECTION}/sessions/{{session_id}}/release", "{home}/sessions/{session}/release", "Session released.", *WHY
    ),
    FormCase(
        f"{CONNECTION}/proposals/decline",
        "{home}/proposals/decline?id={second_proposal}",
        "Declined, so nothing was changed",
        {"reason": "not now"},
        {"reason": "no" * 101},
    ),
    FormCase(
        f"{CONNECTION}/proposals/approve", "{home}/proposals/approve?id={third_proposal}", "1 proposal was approved."
    ),
    FormCase(
        f"{CONNECTION}/proposals/{{proposal_id}}/approve",
        "{home}/proposals/{proposal}",
        "Approved and carried out",
        {"reason": "looks right"},
        {"reason": "no" * 101},
    ),
    FormCase(
        f"{CONNECTION}/agents/{{agent_id}}/edit",
        "{home}/agents/{agent}/edit",
        "Saved.",
        {"name": "lamp-bot", "maxRowsPerWrite": "7"},
        {"name": " ", "maxRowsPerWrite": "8"},
    ),
    FormCase(f"{CONNECTION}/agents/{{agent_id}}/rotate", "{home}/agents/{agent}/rotate", "has a new token", status=200),
    FormCase(
        f"{CONNECTION}/agents/{{agent_id}}/{{action}}", "{home}/agents/{agent}/pause", "This agent is paused", NO_REASON
    ),
    FormCase(f"{CONNECTION}/agents/{{agent_id}}/{{action}}", "{home}/agents/{agent}/resume", "Agent resumed."),
    FormCase(f"{CONNECTION}/agents/{{agent_id}}/{{action}}", "{home}/agents/{agent}/freeze", "This agent is frozen"),
    FormCase(f"{CONNECTION}/agents/{{agent_id}}/{{action}}", "{home}/agents/{agent}/release", "Agent released.", *WHY),
    FormCase(f"{CONNECTION}/freeze", "{home}/freeze", "All agents are frozen."),
    FormCase(f"{CONNECTION}/release", "{home}/freeze", "The agents are released.", *WHY),
    FormCase(f"{CONNECTION}/agents/{{agent_id}}/revoke", "{home}/agents/{agent}/revoke", "Agent revoked."),
    FormCase(f"{CONNECTION}/sessions/{{session_id}}/undo", "{home}/sessions/{conflict}/undo", "newer edit"),
    FormCase(
        f"{CONNECTION}/alerts",
        "{home}/alerts/new",
        "It is shown only once",
        {"target": "http://127.0.0.1:9/third"},
        {"target": "nowhere", "events": "session_frozen"},
        status=201,
    ),
    FormCase(f"{ALERT}/test", "{home}/alerts/{alert}", "The test message was not accepted"),
    FormCase(f"{ALERT}/deliveries/{{delivery_id}}/resend", "{home}/alerts/{alert}", "is being sent again"),
    FormCase(f"{ALERT}/secret", "{home}/alerts/{alert}", "The old secret signs beside it", status=200),
    FormCase(f"{ALERT}/enable", "{home}/alerts/{disabled_alert}", "Alert turned on."),
    FormCase(f"{ALERT}/delete", "{home}/alerts/{alert}/delete", "Alert deleted."),
    FormCase(
        f"{CONNECTION}/settings/{{card}}",
        "{home}/settings",
        "Name and environment saved.",
        {"name": "Shop", "environment": "production"},
        {"name": "   ", "environment": "staging"},
    ),
    FormCase(
        f"{CONNECTION}/members/invitations",
        "{home}/members",
        "Invitation sent.",
        {"email": "eve@example.com", "role": "editor"},
        {"email": "nowhere"},
    ),
    FormCase(f"{CONNECTION}/members/invitations/{{invitation_id}}/resend", "{home}/members", "Invitation sent."),
    FormCase(
        f"{CONNECTION}/members/invitations/{{invitation_id}}/revoke",
        "{home}/members/invitations/{invitation}/revoke",
        "Invitation revoked.",
    ),
    FormCase(f"{CONNECTION}/guard/sample", "{home}/guard", "look sensitive", status=200),
    FormCase(f"{CONNECTION}/guard", "{home}/guard", "Guard saved.", {"holds": "true"}),
    FormCase(f"{CONNECTION}/guard/table", "{home}/guard/table?name=lamps", "Guard saved.", {"readers": "public"}),
    FormCase(
        f"{CONNECTION}/sentry/{{finding_id}}/acknowledge",
        "{home}/sentry/{finding}/acknowledge",
        "Acknowledged until",
        {"reason": "it is public", "time": "week"},
        {"reason": "two" * 167, "time": "ever"},
    ),
    FormCase(f"{CONNECTION}/sentry/{{finding_id}}/reopen", "{home}/sentry/{acknowledged}", "Opened again."),
    FormCase(f"{FINDING}/fix/try", "{home}/sentry/{hole}/fix", "What takes it back", status=200),
    FormCase(f"{FINDING}/quarantine/try", "{home}/sentry/{hole}/quarantine", "What gives it back", status=200),
    FormCase(
        f"{FINDING}/quarantine",
        "{home}/sentry/{hole}/quarantine",
        "In quarantine",
        {"reason": "until Monday"},
        {"reason": "two" * 167},
    ),
    FormCase(f"{FINDING}/release", "{home}/sentry/{hole}/release", "it is as it was before"),
    FormCase(f"{CONNECTION}/sentry/scans", "{home}/sentry", "How the sentry works"),
    FormCase(f"{CONNECTION}/sentry/watch", "{home}/sentry", "Schedule saved.", {"schedule": "off"}),
    FormCase(f"{CONNECTION}/sentry/tables/{{table}}/trial", SECURITY, "Everything was rolled back.", *TRIALS, 200),
    FormCase(f"{CONNECTION}/sentry/leaks/text", "{home}/sentry/leaks", "No secret found", {"text": "a"}, NO_TEXT, 200),
    FormCase(f"{CONNECTION}/sentry/leaks/site", "{home}/sentry/leaks", "No secret found", *SITES, 200),
    FormCase(f"{CONNECTION}/members/{{user_id}}/role", MEMBER_PAGE + "/role", "Role changed.", {"role": "editor"}),
    FormCase(f"{CONNECTION}/members/two-factor", "{home}/members/two-factor", "for your own account first", status=409),
    FormCase(f"{CONNECTION}/members/approvals", "{home}/members/approvals", "Another person must approve now"),
    FormCase(f"{CONNECTION}/members/{{user_id}}/remove", MEMBER_PAGE + "/remove", "Member removed."),
    FormCase(f"{CONNECTION}/delete", "{home}/delete", "Connections", {"confirm": "Shop"}, {"confirm": "Stop"}),
)
ACCOUNT_CASES = (
    FormCase(f"{SETTINGS}/name", SETTINGS, "Name saved.", {"name": "Mara"}, {"name": "x" * 121}),
    FormCase(f"{SETTINGS}/email", SETTINGS, "We sent a link", {"email": "mara@example.com"}, {"email": "nowhere"}),
    FormCase(f"{SETTINGS}/sessions/end-others", f"{SETTINGS}/sessions", "Every other browser was signed out."),
    FormCase(f"{SETTINGS}/sessions/{{session_id}}/end", f"{SETTINGS}/sessions", "That browser was signed out."),
    FormCase(
        f"{SETTINGS}/password", SETTINGS, "Password changed.", PASSWORDS, {**PASSWORDS, "newPassword": "password"}
    ),
    FormCase(
        f"{SETTINGS}/passkeys/{{passkey_id}}/rename", "{passkey}/rename", "Renamed.", {"name": "Blue"}, {"name": " "}
    ),
    FormCase(f"{SETTINGS}/passkeys/{{passkey_id}}/remove", "{passkey}/remove", "Passkey removed.", {"end_others": "1"}),
    FormCase(f"{SETTINGS}/github/link", f"{SETTINGS}/github", "github", status=200),
    FormCase("/settings/billing/checkout", "/settings/billing", "the checkout", status=200),
    FormCase("/operator/billing/grants", "/operator/billing", "Given.", GRANT, {**GRANT, "until": "2020-01-01"}),
    FormCase("/operator/billing/grants/{grant_id}/end", "/operator/billing", "Ended."),
    FormCase("/operator/billing/receipts/{receipt_id}/apply", "/operator/billing", "Applied."),
    FormCase("/settings/billing/portal", "/settings/billing", "the customer portal", status=200),
    FormCase(f"{SETTINGS}/delete", f"{SETTINGS}/delete", "will be deleted on", {"confirm": OWNER}, {"confirm": "me"}),
    FormCase(f"{SETTINGS}/delete/cancel", "/connections", "The deletion was cancelled."),
)
OWNER_CASES = (
    FormCase(f"{CONNECTION}/members/{{user_id}}/owner", MEMBER_PAGE + "/owner", "You are an editor now."),
    FormCase(f"{CONNECTION}/members/leave", "{home}/members/leave", "You left the connection."),
)
INVITED_CASE = FormCase("/invitations/{token}", f"/invitations/{INVITATION_TOKEN}", "You are a member now.")
SETUP_CASE = FormCase(f"{SETTINGS}/2fa/setup", f"{SETTINGS}/2fa", "Scan this code", status=200)
OFF_CASES = (
    FormCase(f"{SETTINGS}/2fa/recovery-codes", f"{SETTINGS}/2fa", "Save these ten recovery codes", status=200),
    FormCase(
        f"{SETTINGS}/2fa/disable", f"{SETTINGS}/2fa", "is off", {"password": PASSWORD}, {"password": "a-wrong-one"}
    ),
)
GITHUB_CASES = (
    FormCase(
        f"{SETTINGS}/set-password", SETTINGS, "Password set.", {"newPassword": NEW_PASSWORD}, {"newPassword": "tiny"}
    ),
    FormCase(f"{SETTINGS}/github/unlink", f"{SETTINGS}/github", "GitHub is unlinked"),
)
OTHER_CASES = (
    FormCase(f"{SETTINGS}/verify", "/connections", "We sent a link"),
    FormCase(
        f"{SETTINGS}/confirm",
        f"{SETTINGS}/confirm",
        "Your account",
        {"password": PASSWORD},
        {"password": "a-wrong-one"},
    ),
    FormCase("/demo/agent", "/connections", "The demo is still starting.", status=503),
)
OWN_TESTS = {
    f"{FINDING}/fix": "on the page that trying it answers with",
    f"{FINDING}/undo-fix": "once a fix was applied",
    f"{FINDING}/release/end": "once others have changed the object",
    f"{CONNECTION}/guard/marks": "on the page that looking at values answers with",
    f"{SETTINGS}/2fa/enable": "on the page that setting up answers with",
    f"{SETTINGS}/2fa/recovery-codes/file": "on the page with new codes",
    "/signin/2fa": "with two-factor authentication on",
}
SCRIPTED = {
    f"{CONNECTION}/agents/summary": "what the form of an agent means, as one types",
    f"{CONNECTION}/agents/{{agent_id}}/edit/changes": "what the form would change, as one types",
    f"{TABLE}/{{key}}/cell": "an editor in a cell; without script the row's page has the form",
}
ALL_CASES = (
    *VISITOR_CASES,
    *CONNECTION_CASES,
    *ACCOUNT_CASES,
    *OWNER_CASES,
    INVITED_CASE,
    SETUP_CASE,
    *OFF_CASES,
    *GITHUB_CASES,
    *OTHER_CASES,
)
ASKED_AGAIN = ("code", "confirm")
"""Proofs of a moment, which are empty after an error"""
Facts = dict[str, str]


@pytest.fixture
def product(whole_product: ServedProduct) -> ServedProduct:
    return whole_product


def expand(values: dict[str, str], facts: Facts) -> dict[str, str]:
    return {name: value.format(**facts) for name, value in values.items()}


async def try_form(client: httpx.AsyncClient, case: FormCase, facts: Facts) -> httpx.Response:
    """The answer to what is right, after what is wrong has come back with what was typed."""
    action = compile_path(case.route)[0]
    page = await client.get(case.page.format(**facts))
    form = next(find_forms(page, action), None)
    assert form is not None, f"{page.url.path} ({page.status_code}) has no form to {case.route}: {read_main(page)}"
    if case.bad is not None:
        page, form = await try_refused(client, page, form, action, expand(case.bad, facts))
    form.fill(expand(case.good, facts))
    assert form.list_missing() == []
    answer = await form.submit(client, page)
    assert answer.status_code == case.status, f"{case.route}: {answer.status_code} {read_main(answer)}"
    end = await client.get(answer.headers["location"]) if case.status == 303 else answer
    assert end.status_code == (200 if case.status == 303 else case.status)
    assert case.shows.format(**facts) in end.text, f"{case.route} leads to {end.url}: {read_main(end)}"
    return end


def read_main(page: httpx.Response) -> str:
    return re.sub(r"<[^>]*>|\s+", " ", page.text.partition("<main")[2].partition("</main>")[0])


async def try_refused(
    client: httpx.AsyncClient, page: httpx.Response, form: HtmlForm, action: "re.Pattern[str]", typed: dict[str, str]
) -> tuple[httpx.Response, HtmlForm]:
    form.fill(typed)
    refused = await form.submit(client, page)
    assert 400 <= refused.status_code < 500, f"{form.action} takes {typed}"
    assert refused.headers["content-type"].startswith("text/html")
    assert 'role="alert"' in refused.text or 'aria-invalid="true"' in refused.text, "nothing says what is wrong"
    again = next(find_forms(refused, action))
    for name, value in typed.items():
        control = again.find(name)
        if control.kind == "password":
            assert control.value == "", f"{name} is sent back"
        elif name in ASKED_AGAIN:
            continue
        elif control.kind in (*TYPED, "select"):
            assert control.value == value, f"{name} is {control.value!r} after an error"
        else:
            assert any(one.is_on and one.value == value for one in again.controls if one.name == name), name
    return refused, again


UNAPPLIED = """INSERT INTO billing_event (id, webhook_id, type, event_at, sent_at, payload) VALUES (gen_random_uuid(),
  'msg_1', 'x', now(), now(), '{"type":"x","timestamp":"2026-11-24T12:00:00Z","data":{}}')"""


async def grant_plan(product: ServedProduct) -> None:
    """For more connections than the free plan has."""
    await run(
        product,
        "INSERT INTO billing_grants (id, user_id, plan, until) SELECT gen_random_uuid(), id, 'hosted', now() + '1 day' FROM users",
    )


async def make_path(product: ServedProduct, purpose: Purpose) -> str:
    link = await make_operator_link(product.registry.get(Database), product.settings, ANNA, purpose)
    return link.removeprefix(product.settings.origin)


async def test_forms_of_a_visitor(product: ServedProduct) -> None:
    await product.sign_up(OWNER)
    client = await open_client(product)
    facts: Facts = {}
    for case in VISITOR_CASES:
        if case.route.startswith(("/verify", "/reset")):
            facts = {
                "verify": await make_path(product, Purpose.VERIFY),
                "reset": await make_path(product, Purpose.RESET),
            }
            client = await open_client(product)
        await try_form(client, case, facts)


async def test_forms_of_a_connection(
    product: ServedProduct, store: Store, postgres: PostgresServer, store_template: str
) -> None:
    ids = await fill_pages(store, product)
    owner = await open_client(product, OWNER)
    home = f"/c/{store.connection_id}"
    dsn = await postgres.create_database(template=store_template)
    facts = {**vars(ids), "home": home, "lamps": store.table("lamps"), "dsn": dsn}
    facts["origin"] = f"http://127.0.0.1:{product.port}"
    await grant_plan(product)
    await owner.patch(f"/api/connections/{ids.connection}", json={"environment": "production"})
    for case in CONNECTION_CASES:
        page = await try_form(owner, case, facts)
        facts["page"] = page.url.path
    await postgres.drop_database(dsn)


async def test_forms_of_members(product: ServedProduct, store: Store) -> None:
    ids = await fill_pages(store, product)
    await grant_plan(product)
    owner = await open_client(product, OWNER)
    for case in OWNER_CASES:
        await try_form(owner, case, {**vars(ids), "home": f"/c/{store.connection_id}"})
    await product.sign_up(INVITED)
    await run(product, "UPDATE users SET email_verified_at = now()")
    await try_form(await open_client(product, INVITED), INVITED_CASE, {})


async def test_forms_of_an_account(product: ServedProduct, dodo: FakeDodo) -> None:
    await product.sign_up(OWNER)
    facts = {"passkey": f"{SETTINGS}/passkeys/{await add_passkey(product)}"}
    owner = await open_client(product, OWNER)
    for case in ACCOUNT_CASES:
        if "/sessions/" in case.route:
            await open_client(product, OWNER)
        if case.route.endswith("/portal"):
            ((person,),) = await run(product, "SELECT id FROM users")
            await Selling(product, dodo).deliver(dodo.world.subscribe(person))
        if case.route.endswith("/apply"):
            await run(product, UNAPPLIED)
        await try_form(owner, case, facts)


async def test_forms_of_two_factor_authentication(product: ServedProduct) -> None:
    await product.sign_up(ANNA)
    anna = await open_client(product, ANNA)
    page = await try_form(anna, SETUP_CASE, {})
    action = compile_path(f"{SETTINGS}/2fa/enable")[0]
    form = next(find_forms(page, action))
    secret = form.find("secret").value
    page, form = await try_refused(anna, page, form, action, {"code": "000000"})
    form.fill({"code": TOTP(secret).now()})
    codes = await form.submit(anna, page)
    assert "Save these ten recovery codes" in codes.text
    (saving,) = find_forms(codes, compile_path(f"{SETTINGS}/2fa/recovery-codes/file")[0])
    assert "Recovery codes of Basewarden" in (await saving.submit(anna, codes)).text
    half = await open_client(product, ANNA)
    action = compile_path("/signin/2fa")[0]
    page = await half.get("/signin/2fa")
    assert "Use a passkey" not in page.text
    await add_passkey(product)
    page = await half.get("/signin/2fa")
    assert "Use a passkey" in page.text
    by_app, _ = find_forms(page, action)
    page, _ = await try_refused(half, page, by_app, action, {"code": "000000"})
    _, by_recovery = find_forms(page, action)
    by_recovery.fill({"recoveryCode": saving.find("codes").value.split()[0]})
    assert (await by_recovery.submit(half, page)).headers["location"] == "/connections"
    for case in OFF_CASES:
        await try_form(anna, case, {})


async def test_forms_of_someone_without_a_password(product: ServedProduct, github: FakeGitHub) -> None:
    github.person = make_person(1, "anna", ANNA, "Anna")
    anna = await open_client(product)
    await complete_flow(anna)
    for case in GITHUB_CASES:
        await try_form(anna, case, {})


async def test_forms_above_a_page(product: ServedProduct) -> None:
    await product.sign_up(DEMO_EMAIL)
    demo = await open_client(product, DEMO_EMAIL)
    await run(product, "UPDATE signin_sessions SET authenticated_at = now() - interval '11 minutes'")
    for case in OTHER_CASES:
        await try_form(demo, case, {})
    await product.sign_up("another@example.com")
    another = await open_client(product, "another@example.com")
    found = [(await client.get("/palette", params={"q": "break something"})).text for client in (demo, another)]
    assert ['href="/demo/agent" data-method="post"' in page for page in found] == [True, False]


async def test_forms_that_read(product: ServedProduct, store: Store) -> None:
    """Filters and searches keep what was typed, and lead to a page again."""
    ids = await fill_pages(store, product)
    owner, visitor = await open_client(product, OWNER), await open_client(product)
    tried: set[str] = set()
    for client, pages in (
        (visitor, VISITOR_PAGES),
        (owner, [*list_connection_pages(ids), *list_account_pages(ids), "/operator/billing"]),
    ):
        for path in pages:
            page = await client.get(path)
            check_actions(page)
            for form in read_forms(page):
                if (
                    form.method == "get"
                    and form.action
                    and (key := ",".join(one.name for one in form.controls)) not in tried
                ):
                    tried.add(key)
                    await try_reading(client, page, form)
    assert len(tried) > 6


def check_actions(page: httpx.Response) -> None:
    """Whatever the pages submit is one of the cases."""
    known = [compile_path(route)[0] for route in list_covered()]
    for form in read_forms(page):
        if form.method == "post":
            path = page.url.join(form.action).path if form.action else page.url.path
            assert any(pattern.match(path) for pattern in known), (
                f"{page.url.path} has a form to {path}, which no case tries"
            )


async def try_reading(client: httpx.AsyncClient, page: httpx.Response, form: HtmlForm) -> None:
    texts = [one for one in form.controls if one.kind in ("text", "search") and one.name]
    for control in texts:
        control.value = "lamp"
    answer = await form.submit(client, page)
    if answer.status_code == 303:
        answer = await client.get(answer.headers["location"])
    assert answer.status_code == 200, f"{form.action} of {page.url.path}: {answer.status_code}"
    kept = {control.name for one in read_forms(answer) for control in one.controls if control.value == "lamp"}
    assert {control.name for control in texts} <= kept, f"{form.action} does not keep what was typed"


def list_covered() -> list[str]:
    return [*(case.route for case in ALL_CASES), *OWN_TESTS]


def find_forgotten(routes: Iterable[str]) -> list[str]:
    return sorted(set(routes) - set(list_covered()) - set(SCRIPTED))


def test_no_form_is_forgotten() -> None:
    routes = list_page_routes("POST")
    assert len(routes) > 40
    assert find_forgotten(routes) == []
    assert set(list_covered()) | set(SCRIPTED) <= set(routes)
    assert find_forgotten([*routes, "/new-form"]) == ["/new-form"]
