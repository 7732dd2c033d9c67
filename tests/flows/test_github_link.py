"""GitHub beside another way in: linking, unlinking, and confirming who one is. By HTTP alone."""

import asyncio
import re
from html import unescape
from typing import Any

import httpx
import pytest

from basewarden.accounts.github.errors import ERROR_MESSAGES
from tests.fakes.github import FakeGitHub, StartedFlow, complete_flow, finish_flow, make_person, start_flow, visit
from tests.fixtures.app import PASSWORD, Serve, ServedProduct
from tests.fixtures.mailing import ServeMailing
from tests.fixtures.sql import run_sql
from tests.fixtures.twofactor import StepClock, turn_on

ANNA, BEN = "anna@example.com", "ben@example.com"
URL = "/api/account/github"
PAGE = "/settings/account/github"
CONFIRM = f"{PAGE}/confirm"
BROWSER = "basewarden.github"
MONA = make_person(583231, "mona", "mona@example.com")
LINKED, STALE = f"{PAGE}?done=linked", f"{PAGE}?done=github_stale"


async def begin_link(client: httpx.AsyncClient) -> StartedFlow:
    answer = await client.post(f"{URL}/link")
    assert answer.status_code == 200, answer.text
    return await visit(answer.json()["url"])


async def link(client: httpx.AsyncClient) -> str:
    return await finish_flow(client, (await begin_link(client)).back)


async def is_in(client: httpx.AsyncClient) -> bool:
    return (await client.get("/api/connections")).status_code == 200


async def copy_browser(client: httpx.AsyncClient, product: ServedProduct) -> httpx.AsyncClient:
    """The same cookies, as another process or a thief has them."""
    other = await product.client()
    for cookie in client.cookies.jar:
        other.cookies.set(cookie.name, cookie.value or "", domain="127.0.0.1")
    return other


async def grow_stale(client: httpx.AsyncClient, serve: Serve, github: FakeGitHub, dsn: str) -> httpx.AsyncClient:
    """This browser, its sign-in older than ten minutes, at a process that has not seen it before."""
    await run_sql(dsn, "UPDATE signin_sessions SET authenticated_at = now() - interval '11 minutes'")
    return await copy_browser(client, await serve(github.settings()))


async def list_links(dsn: str) -> list[tuple[Any, ...]]:
    query = "SELECT email, login FROM oauth_accounts JOIN users ON users.id = user_id ORDER BY email"
    return await run_sql(dsn, query)


async def test_a_linked_github_signs_in(with_github: ServedProduct, github: FakeGitHub, app_database: str) -> None:
    anna = await with_github.sign_up(ANNA)
    thief = await copy_browser(anna, with_github)
    github.person = MONA
    assert await link(anna) == LINKED
    assert github.authorized[-1]["prompt"] == "select_account"
    assert await is_in(anna)
    assert not await is_in(thief)  # a new way in makes a new cookie
    assert BROWSER not in anna.cookies
    assert await list_links(app_database) == [(ANNA, "mona")]
    elsewhere = await with_github.client()
    assert await complete_flow(elsewhere) == "/connections"
    assert (await elsewhere.get("/api/auth/session")).json()["user"]["email"] == ANNA
    linked = "SELECT count(*) FROM audit_events JOIN users ON audit_id = subject WHERE kind = 'github_linked'"
    assert await run_sql(app_database, linked) == [(1,)]
    assert await link(anna) == LINKED
    assert await list_links(app_database) == [(ANNA, "mona")]


async def test_linking_needs_a_recent_sign_in(
    with_github: ServedProduct, serve: Serve, github: FakeGitHub, app_database: str
) -> None:
    visitor = await with_github.client()
    assert (await visitor.post(f"{URL}/link")).status_code == 401
    anna = await grow_stale(await with_github.sign_up(ANNA), serve, github, app_database)
    for answer in (await anna.post(f"{URL}/link"), await anna.delete(URL)):
        assert (answer.status_code, answer.json()["code"]) == (403, "reauth_required")
    for way in ("link", "unlink"):
        assert (await anna.post(f"{PAGE}/{way}")).headers["location"].startswith("/settings/account/confirm")
    assert await run_sql(app_database, "SELECT count(*) FROM oauth_states") == [(0,)]


async def test_half_way_in_is_not_in(serve: Serve, github: FakeGitHub, clock: StepClock) -> None:
    product = await serve(github.settings(), clock=clock)
    anna = await turn_on(await product.sign_up(ANNA), ANNA, clock)
    half = await anna.sign_in(product)
    assert (await half.post(f"{URL}/link")).json()["code"] == "mfa_required"
    assert (await half.delete(URL)).json()["code"] == "mfa_required"
    assert (await half.get(CONFIRM)).headers["location"].startswith("/signin/2fa")


async def test_one_github_opens_one_account(with_github: ServedProduct, github: FakeGitHub, app_database: str) -> None:
    anna, ben = [await with_github.sign_up(email) for email in (ANNA, BEN)]
    github.person = MONA
    await link(anna)
    end = await link(ben)
    assert end == f"{PAGE}?done=github_taken"
    assert ERROR_MESSAGES["github_taken"] in (await ben.get(end)).text
    github.person = make_person(2, "second")
    end = await link(anna)
    assert end == f"{PAGE}?done=github_other_linked"
    assert ERROR_MESSAGES["github_other_linked"] in (await anna.get(end)).text
    assert await is_in(anna)
    assert await is_in(ben)
    assert await list_links(app_database) == [(ANNA, "mona")]


async def test_of_two_who_link_one_github_at_once_one_gets_it(
    with_github: ServedProduct, github: FakeGitHub, app_database: str
) -> None:
    people = [await with_github.sign_up(f"person{number}@example.com") for number in range(4)]
    github.person = MONA
    trips = [await begin_link(person) for person in people]
    ends = await asyncio.gather(*(finish_flow(one, trip.back) for one, trip in zip(people, trips, strict=True)))
    assert sorted(ends) == [f"{PAGE}?done=github_taken"] * 3 + [LINKED]
    assert [await is_in(person) for person in people] == [True] * 4
    assert len(await list_links(app_database)) == 1


async def test_the_link_is_only_for_the_person_who_began_it(
    with_github: ServedProduct, github: FakeGitHub, app_database: str
) -> None:
    """In a shared browser the next person must not find their account linked to the last one's GitHub."""
    anna = await with_github.sign_up(ANNA)
    github.person = MONA
    trip = await begin_link(anna)
    await anna.post("/api/auth/signout")
    assert await finish_flow(anna, trip.back) == f"/signin?next={PAGE}&done=github_stale"

    anna = await with_github.sign_up("other@example.com")
    trip = await begin_link(anna)
    account = {"email": BEN, "password": PASSWORD}
    await anna.post("/api/auth/signup", json=account)
    assert (await anna.post("/api/auth/signin", json=account)).status_code == 200
    assert await finish_flow(anna, trip.back) == STALE
    assert await list_links(app_database) == []


async def test_who_signs_out_on_the_way_links_nothing(
    with_github: ServedProduct, github: FakeGitHub, app_database: str
) -> None:
    anna = await with_github.sign_up(ANNA)
    other_tab = await copy_browser(anna, with_github)
    github.person, github.meanwhile = MONA, lambda: other_tab.post("/api/auth/signout")
    assert await link(anna) == "/signin?next=/connections&done=github_stale"
    assert await list_links(app_database) == []
    github.meanwhile = None
    mona = await with_github.client()
    await complete_flow(mona)
    other_tab = await copy_browser(mona, with_github)
    github.meanwhile = lambda: other_tab.post("/api/auth/signout")
    assert await complete_flow(mona, CONFIRM) == "/signin?next=/connections&done=github_stale"
    assert not await is_in(mona)


async def test_who_unlinks_on_the_way_does_not_get_in(
    with_github: ServedProduct, github: FakeGitHub, app_database: str
) -> None:
    anna = await with_github.sign_up(ANNA)
    github.person = make_person(1, "anna", ANNA)
    await link(anna)
    github.meanwhile = lambda: anna.delete(URL)
    client = await with_github.client()
    assert await complete_flow(client) == f"/signin?next={PAGE}&done=github_has_account"
    assert not await is_in(client)


async def test_an_attacker_cannot_link_their_github_to_a_victims_account(
    with_github: ServedProduct, github: FakeGitHub, app_database: str
) -> None:
    """The attacker's way back, opened in the victim's browser: another browser, another person, another purpose."""
    attacker, victim = [await with_github.sign_up(email) for email in (ANNA, BEN)]
    github.person = MONA
    for trip in (await begin_link(attacker), await start_flow(await with_github.client()), await start_flow(attacker)):
        assert await finish_flow(victim, trip.back) == STALE
    await begin_link(victim)
    assert await finish_flow(victim, (await begin_link(attacker)).back) == STALE
    assert await list_links(app_database) == []
    assert await is_in(victim)


async def test_what_was_begun_for_one_thing_does_no_other(
    with_github: ServedProduct, github: FakeGitHub, app_database: str
) -> None:
    anna = await with_github.sign_up(ANNA)
    github.person = MONA
    assert await complete_flow(anna) == "/connections"
    assert (await anna.get("/api/auth/session")).json()["user"]["email"] == "mona@example.com"
    assert await list_links(app_database) == [("mona@example.com", "mona")]

    ben = await with_github.sign_up(BEN)
    github.person = make_person(9, "ben", "third@example.com")
    assert await complete_flow(ben, CONFIRM) == f"/settings/account/confirm?next={PAGE}&done=github_not_linked"
    assert len(await list_links(app_database)) == 1
    assert await run_sql(app_database, "SELECT count(*) FROM users") == [(3,)]


async def test_unlinking(with_github: ServedProduct, github: FakeGitHub, app_database: str) -> None:
    anna = await with_github.sign_up(ANNA)
    assert (await anna.delete(URL)).status_code == 404
    github.person = make_person(1, "anna", ANNA)
    await link(anna)
    elsewhere = await with_github.client()
    await complete_flow(elsewhere)
    thief = await copy_browser(anna, with_github)
    assert (await anna.delete(URL)).status_code == 204
    assert [await is_in(client) for client in (anna, elsewhere, thief)] == [True, False, False]
    assert await list_links(app_database) == []
    assert await complete_flow(await with_github.client()) == f"/signin?next={PAGE}&done=github_has_account"
    assert (await anna.delete(URL)).status_code == 404
    assert [kind for (kind,) in await run_sql(app_database, "SELECT kind FROM audit_events ORDER BY id")][-1] == (
        "github_unlinked"
    )


async def test_the_only_way_in_stays(with_github: ServedProduct, github: FakeGitHub, app_database: str) -> None:
    github.person = MONA
    mona = await with_github.client()
    await complete_flow(mona)
    answer = await mona.delete(URL)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    end = (await mona.post(f"{PAGE}/unlink")).headers["location"]
    page = (await mona.get(end)).text
    assert "GitHub is the only way to sign in to this account" in page
    assert f'action="{PAGE}/unlink"' not in page
    assert await is_in(mona)
    await run_sql(
        app_database,
        "INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name, transports, is_backed_up)"
        " SELECT gen_random_uuid(), id, 'x', 'y', 0, 'Key', '{}', false FROM users",
    )
    assert (await mona.delete(URL)).status_code == 204


async def test_confirming_makes_an_old_sign_in_fresh(
    with_github: ServedProduct, serve: Serve, github: FakeGitHub, app_database: str
) -> None:
    github.person = MONA
    mona = await with_github.client()
    await complete_flow(mona)
    mona = await grow_stale(mona, serve, github, app_database)
    assert (await mona.post(f"{URL}/link")).status_code == 403
    thief = await copy_browser(mona, with_github)
    assert await complete_flow(mona, f"{CONFIRM}?next=/settings/account/passkeys") == "/settings/account/passkeys"
    assert github.authorized[-1]["prompt"] == "select_account"
    assert (await mona.post(f"{URL}/link")).status_code == 200
    assert not await is_in(thief)
    assert await complete_flow(mona, f"{CONFIRM}?next=https://evil.example") == "/connections"


async def test_confirming_takes_the_github_that_is_linked(
    with_github: ServedProduct, serve: Serve, github: FakeGitHub, app_database: str
) -> None:
    """A stolen cookie and a GitHub account of one's own are not enough."""
    github.person = MONA
    mona = await with_github.client()
    await complete_flow(mona)
    github.person = make_person(666, "thief", "thief@example.com")
    await complete_flow(await with_github.client())
    mona = await grow_stale(mona, serve, github, app_database)
    for person in (github.person, make_person(667, "nobody")):
        github.person = person
        end = await complete_flow(mona, f"{CONFIRM}?next=/settings/account/passkeys")
        assert end == "/settings/account/confirm?next=/settings/account/passkeys&done=github_not_linked"
    github.person = None
    assert (await complete_flow(mona, CONFIRM)).endswith("&done=github_denied")
    assert (await mona.post(f"{URL}/link")).status_code == 403
    assert await is_in(mona)
    failed = await run_sql(app_database, "SELECT count(*) FROM audit_events WHERE kind = 'signin_failed'")
    assert failed == [(2,)]


async def test_who_is_not_signed_in_is_sent_to_sign_in(with_github: ServedProduct) -> None:
    visitor = await with_github.client()
    assert (await visitor.get(PAGE)).headers["location"] == f"/signin?next={PAGE}"
    assert (await visitor.get(CONFIRM)).headers["location"].startswith("/signin?next=")
    assert (await visitor.delete(URL)).status_code == 401


async def test_the_page_links_and_unlinks_without_script(
    with_github: ServedProduct, github: FakeGitHub, app_database: str
) -> None:
    anna = await with_github.sign_up(ANNA)
    github.person = MONA
    page = (await anna.get(PAGE)).text
    assert f'action="{PAGE}/link"' in page
    redirecting = await anna.post(f"{PAGE}/link")
    assert redirecting.status_code == 200
    urls = re.findall(r'(?:url=|href=")(http[^"]+)"', redirecting.text)
    assert len(urls) == 2
    assert len(set(urls)) == 1
    end = await finish_flow(anna, (await visit(unescape(urls[0]))).back)
    assert end == LINKED
    page = (await anna.get(end)).text
    assert "GitHub is linked." in page
    assert ">mona<" in page
    answer = await anna.post(f"{PAGE}/unlink")
    assert answer.headers["location"] == f"{PAGE}?done=unlinked"
    assert "GitHub is unlinked" in (await anna.get(f"{PAGE}?done=unlinked")).text
    assert await list_links(app_database) == []


async def test_an_old_sign_in_has_to_confirm_first(
    with_github: ServedProduct, serve: Serve, github: FakeGitHub, app_database: str
) -> None:
    anna = await grow_stale(await with_github.sign_up(ANNA), serve, github, app_database)
    page = (await anna.get(PAGE)).text
    assert "First confirm your identity" in page
    assert f'href="/settings/account/confirm?next={PAGE}"' in page


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_other_sites_forms_link_nothing(with_github: ServedProduct, origin: str) -> None:
    anna = await with_github.sign_up(ANNA)
    for path in (f"{URL}/link", f"{PAGE}/link", f"{PAGE}/unlink"):
        assert (await anna.post(path, headers={"origin": origin})).status_code == 403


async def test_emails_announce_a_linked_and_an_unlinked_account(
    serve_mailing: ServeMailing, github: FakeGitHub
) -> None:
    mailing = await serve_mailing(github.settings())
    anna = await mailing.sign_up(ANNA)
    github.person = MONA
    await link(anna)
    (email,) = [one for one in await mailing.postbox.wait(to=ANNA, count=2) if "GitHub" in one.subject]
    assert email.subject == "A GitHub account was linked"
    assert "mona" in email.text
    assert f"{mailing.product.settings.origin}{PAGE}" in email.links
    assert (await anna.delete(URL)).status_code == 204
    await mailing.postbox.wait(to=ANNA, count=3)
    assert "Your GitHub account was unlinked" in mailing.subjects(ANNA)
