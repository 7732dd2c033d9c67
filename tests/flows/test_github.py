"""Signing in with GitHub by HTTP alone: who gets in, who does not, and what a hostile browser or GitHub can do."""

import asyncio
import base64
import os
from typing import Any

import httpx
import pytest

from basewarden.accounts import Limit
from basewarden.accounts.github import GitHubClient
from basewarden.accounts.github.errors import ERROR_MESSAGES, GitHubDown
from basewarden.core.secret import Secret
from basewarden.errors import StartError
from basewarden.settings import load_settings
from tests.fakes.github import (
    CLIENT_ID,
    EMAILS_PATH,
    TOKEN_PATH,
    USER_PATH,
    FakeGitHub,
    GitHubPerson,
    complete_flow,
    finish_flow,
    make_person,
    open_github,
    start_flow,
)
from tests.fixtures.app import PASSWORD, Serve, ServedProduct, make_settings, tight_limits
from tests.fixtures.mailing import ServeMailing
from tests.fixtures.sql import run_sql
from tests.fixtures.twofactor import StepClock, turn_on

START = "/api/auth/github/start"
SESSION = "authjs.session-token"
BROWSER = "basewarden.github"
EMAIL = "mona@example.com"
MONA = make_person(583231, "mona", EMAIL, "Mona Lisa")


async def find_person(client: httpx.AsyncClient) -> Any:
    """The person who is signed in there, or the error code if none is."""
    answer = await client.get("/api/auth/session")
    body = answer.json()
    return body["user"]["email"] if body and "user" in body else (body or {}).get("code")


def trouble(code: str, goal: str = "/connections") -> str:
    return f"/signin?next={goal}&done={code}"


async def list_kinds(dsn: str) -> list[str]:
    return [kind for (kind,) in await run_sql(dsn, "SELECT kind FROM audit_events ORDER BY id")]


async def test_a_new_person_gets_an_account_without_a_password(
    with_github: ServedProduct, github: FakeGitHub, app_database: str
) -> None:
    github.person = MONA
    client = await with_github.client()
    assert await complete_flow(client, f"{START}?next=/connections/new") == "/connections/new"
    assert await find_person(client) == EMAIL
    assert await run_sql(
        app_database,
        "SELECT email, name, password_hash, email_verified_at IS NOT NULL, method FROM users, signin_sessions",
    ) == [(EMAIL, "Mona Lisa", None, True, "github")]
    assert await run_sql(app_database, "SELECT provider, subject, login FROM oauth_accounts") == [
        (f"github:{github.url.removeprefix('http://')}", "583231", "mona")
    ]
    assert await run_sql(app_database, "SELECT count(*) FROM oauth_states") == [(0,)]
    assert await list_kinds(app_database) == ["signup", "signin"]
    assert set(client.cookies) == {SESSION}
    wanted = {"currentPassword": PASSWORD, "newPassword": "another walk in the snow"}
    answer = await client.post("/api/account/change-password", json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (409, "oauth_only")


async def test_what_the_browser_carries_to_github(with_github: ServedProduct, github: FakeGitHub) -> None:
    github.person = MONA
    client = await with_github.client()
    answer = await client.get(START)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{BROWSER}=")
    assert [word for word in ("HttpOnly", "SameSite=lax", "Max-Age=600", "Path=/") if word not in cookie] == []
    await start_flow(client)
    asked = github.authorized[-1]
    assert asked.pop("state") != client.cookies[BROWSER]
    assert len(asked.pop("code_challenge")) == 43
    assert asked == {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": f"{with_github.settings.origin}/api/auth/callback/github",
        "scope": "read:user user:email",
        "code_challenge_method": "S256",
    }


async def test_on_an_https_origin_the_cookie_is_bound_to_the_host(serve: Serve, github: FakeGitHub) -> None:
    product = await serve({**github.settings(), "origin": "https://app.example.com"})
    cookie = (await (await product.client()).get(START)).headers["set-cookie"]
    assert cookie.startswith(f"__Host-{BROWSER}=")
    assert "Secure" in cookie
    assert "Domain" not in cookie


async def test_the_same_person_comes_back_under_another_name(
    with_github: ServedProduct, github: FakeGitHub, app_database: str
) -> None:
    """GitHub's number is who they are: neither the login nor the address is."""
    github.person = MONA
    await complete_flow(await with_github.client())
    github.person = make_person(MONA.id, "mona-renamed", "elsewhere@example.com")
    client = await with_github.client()
    assert await complete_flow(client) == "/connections"
    assert await find_person(client) == EMAIL
    assert await run_sql(app_database, "SELECT login FROM oauth_accounts") == [("mona-renamed",)]


async def test_a_known_person_needs_no_address(with_github: ServedProduct, github: FakeGitHub) -> None:
    github.person = MONA
    await complete_flow(await with_github.client())
    github.person = GitHubPerson(MONA.id, "mona", emails=None)
    client = await with_github.client()
    assert await complete_flow(client) == "/connections"


async def test_signing_in_takes_a_new_session_and_ends_the_earlier_one(
    with_github: ServedProduct, github: FakeGitHub
) -> None:
    """An attacker who had planted a cookie in the browser gains nothing."""
    planted = await with_github.sign_up("attacker@example.com")
    victim = await with_github.client()
    victim.cookies.set(SESSION, planted.cookies[SESSION], domain="127.0.0.1")
    github.person = MONA
    await complete_flow(victim)
    assert await find_person(victim) == EMAIL
    assert victim.cookies[SESSION] != planted.cookies[SESSION]
    assert (await planted.get("/api/connections")).status_code == 401


async def test_the_second_factor_is_still_asked_for(serve: Serve, github: FakeGitHub, clock: StepClock) -> None:
    product = await serve(github.settings(), clock=clock)
    github.person = MONA
    person = await product.client()
    await complete_flow(person)
    protected = await turn_on(person, EMAIL, clock)
    client = await product.client()
    assert await complete_flow(client, f"{START}?next=/connections/new") == "/signin/2fa?next=/connections/new"
    assert await find_person(client) == "mfa_required"
    assert (await client.get("/api/connections")).json()["code"] == "mfa_required"
    assert (await client.post("/api/account/2fa/verify", json={"code": protected.code()})).status_code == 200
    assert await find_person(client) == EMAIL


def emails(*each: tuple[str, bool, bool]) -> list[dict[str, Any]]:
    return [{"email": email, "primary": primary, "verified": verified} for email, primary, verified in each]


@pytest.mark.parametrize(
    "addresses",
    [
        emails((EMAIL, True, False)),
        emails((EMAIL, False, True)),
        emails((EMAIL, True, False), ("second@example.com", False, True)),
        emails(("no address", True, True)),
        emails(("a\x00b@example.com", True, True)),
        [],
        None,
    ],
)
async def test_only_a_verified_primary_address_makes_an_account(
    with_github: ServedProduct, github: FakeGitHub, app_database: str, addresses: list[dict[str, Any]] | None
) -> None:
    github.person = GitHubPerson(7, "nobody", emails=addresses)
    client = await with_github.client()
    end = await complete_flow(client)
    assert end == trouble("github_no_email")
    assert await find_person(client) is None
    assert await run_sql(app_database, "SELECT count(*) FROM users") == [(0,)]
    assert ERROR_MESSAGES["github_no_email"] in (await client.get(end)).text


async def test_of_several_addresses_the_primary_one_is_taken(with_github: ServedProduct, github: FakeGitHub) -> None:
    several = emails(("first@example.com", False, True), (EMAIL, True, True), ("third@example.com", False, False))
    github.person = GitHubPerson(7, "someone", emails=several)
    client = await with_github.client()
    await complete_flow(client)
    assert await find_person(client) == EMAIL


@pytest.mark.parametrize(("given", "kept"), [(None, "mona"), ("", "mona"), ("a\nb", "mona"), ("ö" * 300, "ö" * 120)])
async def test_names_are_short_lines(
    with_github: ServedProduct, github: FakeGitHub, app_database: str, given: str | None, kept: str
) -> None:
    github.person = make_person(1, "mona", EMAIL, given)
    await complete_flow(await with_github.client())
    assert await run_sql(app_database, "SELECT name FROM users") == [(kept,)]


@pytest.mark.parametrize("typed", [EMAIL, "Mona@Example.com"])
async def test_an_address_that_has_an_account_is_not_linked_by_itself(
    with_github: ServedProduct, github: FakeGitHub, app_database: str, typed: str
) -> None:
    await with_github.sign_up(typed)
    github.person = MONA
    client = await with_github.client()
    end = await complete_flow(client)
    assert end == trouble("github_has_account", "/settings/account/github")
    assert await find_person(client) is None
    assert await run_sql(app_database, "SELECT count(*) FROM oauth_accounts") == [(0,)]
    assert ERROR_MESSAGES["github_has_account"] in (await client.get(end)).text


async def test_a_denial_at_github_is_shown(with_github: ServedProduct, github: FakeGitHub) -> None:
    github.person = None
    client = await with_github.client()
    end = await complete_flow(client, f"{START}?next=/connections/new")
    assert end == trouble("github_denied", "/connections/new")
    page = (await client.get(end)).text
    assert ERROR_MESSAGES["github_denied"] in page
    assert 'role="alert"' in page


async def test_a_way_back_without_a_code_leads_nowhere(with_github: ServedProduct, github: FakeGitHub) -> None:
    github.person = MONA
    client = await with_github.client()
    for parts, word in (
        ({"code": ""}, "github_stale"),
        ({"code": "", "error": "application_suspended"}, "github_down"),
        ({"code": "x" * 600}, "github_stale"),
        ({"code": "a\x00\ud7ffb"}, "github_stale"),
    ):
        trip = await start_flow(client)
        assert await finish_flow(client, trip.change(**parts)) == trouble(word)
    assert await find_person(client) is None


async def test_a_way_is_gone_once_it_was_taken(with_github: ServedProduct, github: FakeGitHub) -> None:
    github.person = MONA
    client = await with_github.client()
    trip = await start_flow(client)
    browser = client.cookies[BROWSER]
    assert await finish_flow(client, trip.back) == "/connections"
    client.cookies.set(BROWSER, browser)
    client.cookies.delete(SESSION)
    assert await finish_flow(client, trip.back) == trouble("github_stale")
    assert await find_person(client) is None


async def test_of_two_who_come_back_at_once_one_gets_in(
    with_github: ServedProduct, github: FakeGitHub, app_database: str
) -> None:
    github.person = MONA
    client = await with_github.client()
    trip = await start_flow(client)
    ends = await asyncio.gather(*(finish_flow(client, trip.back) for _ in range(5)))
    assert sorted(ends) == ["/connections", *[trouble("github_stale")] * 4]
    assert await run_sql(app_database, "SELECT count(*) FROM signin_sessions") == [(1,)]


async def test_another_browser_cannot_come_back(
    with_github: ServedProduct, github: FakeGitHub, app_database: str
) -> None:
    """Otherwise an attacker could sign a victim in to the attacker's account, and read what the victim does there."""
    github.person = make_person(666, "attacker", "attacker@example.com")
    attacker, victim = await with_github.client(), await with_github.client()
    trip = await start_flow(attacker)
    assert await finish_flow(victim, trip.back) == trouble("github_stale")
    assert await find_person(victim) is None
    assert await finish_flow(attacker, trip.back) == trouble("github_stale")

    trip = await start_flow(attacker)
    await start_flow(victim)  # with a cookie of its own
    assert await finish_flow(victim, trip.back) == trouble("github_stale")
    assert await run_sql(app_database, "SELECT count(*) FROM users") == [(0,)]


async def test_another_persons_code_is_no_good(with_github: ServedProduct, github: FakeGitHub) -> None:
    """A stolen or planted code belongs to the way that it was made for."""
    github.person = make_person(666, "attacker", "attacker@example.com")
    code = (await start_flow(await with_github.client())).query["code"]
    github.person = MONA
    victim = await with_github.client()
    trip = await start_flow(victim)
    assert await finish_flow(victim, trip.change(code=code)) == trouble("github_stale")
    assert await find_person(victim) is None


async def test_a_code_works_once(with_github: ServedProduct, github: FakeGitHub) -> None:
    github.person = MONA
    client = await with_github.client()
    trip = await start_flow(client)
    await finish_flow(client, trip.back)
    again = await with_github.client()
    later = await start_flow(again)
    assert await finish_flow(again, later.change(code=trip.query["code"])) == trouble("github_stale")


async def test_ten_minutes_are_enough(with_github: ServedProduct, github: FakeGitHub, app_database: str) -> None:
    github.person = MONA
    client = await with_github.client()
    trip = await start_flow(client)
    await run_sql(app_database, "UPDATE oauth_states SET expires_at = now() - interval '1 second'")
    assert await finish_flow(client, trip.back) == trouble("github_stale")
    await start_flow(client)
    await run_sql(app_database, "UPDATE oauth_states SET expires_at = now() - interval '1 second'")
    await start_flow(client)
    assert await run_sql(app_database, "SELECT count(*) FROM oauth_states") == [(1,)]


@pytest.mark.parametrize("state", ["", "x", "x" * 600, "\x00", "ü"])
async def test_a_state_that_was_never_issued_is_stale(with_github: ServedProduct, state: str) -> None:
    client = await with_github.client()
    client.cookies.set(BROWSER, "y")
    answer = await client.get("/api/auth/callback/github", params={"state": state, "code": "0" * 20})
    assert (answer.status_code, answer.headers["location"]) == (303, trouble("github_stale"))
    assert (await client.get("/api/auth/callback/github")).status_code == 303


@pytest.mark.parametrize(
    "path",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nb", "/" + "x" * 3000],
)
async def test_it_leads_to_pages_of_this_site_only(with_github: ServedProduct, github: FakeGitHub, path: str) -> None:
    github.person = MONA
    client = await with_github.client()
    answer = await client.get(START, params={"next": path})
    assert answer.headers["location"].startswith(f"{github.url}/login/oauth/authorize?")
    assert await complete_flow(client, str(httpx.URL(START, params={"next": path}))) == "/connections"


@pytest.mark.parametrize(
    ("path", "failure"),
    [
        (TOKEN_PATH, 500),
        (TOKEN_PATH, 404),
        (TOKEN_PATH, "not json"),
        (TOKEN_PATH, {"error": "slow_down", "error_description": "Wait."}),
        (TOKEN_PATH, {}),
        (TOKEN_PATH, {"access_token": "gho_x"}),
        (TOKEN_PATH, {"access_token": "gho_x", "token_type": "bearer"}),
        (TOKEN_PATH, {"access_token": 5, "token_type": "bearer"}),
        (TOKEN_PATH, {"access_token": "gho_x", "token_type": "mac"}),
        (USER_PATH, 502),
        (USER_PATH, 404),
        (USER_PATH, "not json"),
        (USER_PATH, {"id": "583231", "login": "mona"}),
        (USER_PATH, {"id": True, "login": "mona"}),
        (USER_PATH, {"id": 0, "login": "mona"}),
        (USER_PATH, {"login": "mona"}),
        (USER_PATH, {"id": 1, "login": "a\nb"}),
        (EMAILS_PATH, 500),
        (EMAILS_PATH, {"message": "no list"}),
        (EMAILS_PATH, "not json"),
    ],
)
async def test_a_failing_github_signs_no_one_in(
    with_github: ServedProduct, github: FakeGitHub, app_database: str, path: str, failure: Any
) -> None:
    github.person = MONA
    github.fail(path, failure)
    client = await with_github.client()
    end = await complete_flow(client)
    assert end == trouble("github_down")
    assert path in github.seen
    assert ERROR_MESSAGES["github_down"] in (await client.get(end)).text
    assert await find_person(client) is None
    assert await run_sql(app_database, "SELECT count(*) FROM users") == [(0,)]
    assert await complete_flow(client) == "/connections"


async def test_the_word_true_is_not_true(with_github: ServedProduct, github: FakeGitHub) -> None:
    github.person = GitHubPerson(7, "someone", emails=[{"email": EMAIL, "primary": True, "verified": "true"}])
    assert await complete_flow(await with_github.client()) == trouble("github_down")


async def test_a_github_that_is_away_or_hangs_is_not_waited_for(app_database: str, github: FakeGitHub) -> None:
    settings = make_settings(app_database).model_copy(update=github.settings())
    for path in (TOKEN_PATH, USER_PATH):
        github.fail(path, "hang")
        github.fail(TOKEN_PATH, {"access_token": "gho_x", "token_type": "bearer"})
        with pytest.raises(GitHubDown):
            await GitHubClient(settings, seconds=0.3).identify("code", "v" * 43, with_email=True)
    away = settings.model_copy(update={"github_base_url": "http://127.0.0.1:9"})
    with pytest.raises(GitHubDown):
        await GitHubClient(away).identify("code", "v" * 43, with_email=True)


async def test_a_wrong_client_secret_is_the_operators_to_see(
    serve: Serve, github: FakeGitHub, capfd: pytest.CaptureFixture[str]
) -> None:
    product = await serve({**github.settings(), "github_secret": Secret("not the client secret")})
    github.person = MONA
    assert await complete_flow(await product.client()) == trouble("github_down")
    said = capfd.readouterr().err
    assert "incorrect_client_credentials" in said
    assert "not the client secret" not in said


async def test_numbers_of_another_github_are_other_people(serve: Serve, github: FakeGitHub, app_database: str) -> None:
    """An operator who moves to another GitHub does not hand the accounts to strangers."""
    github.person = MONA
    await complete_flow(await (await serve(github.settings())).client())
    async with open_github() as other:
        other.person = make_person(MONA.id, "mona", "stranger@example.com")
        product = await serve(other.settings())
        client = await product.client()
        await complete_flow(client)
        assert await find_person(client) == "stranger@example.com"
    assert await run_sql(app_database, "SELECT count(*) FROM users") == [(2,)]


async def test_two_browsers_of_a_new_person_at_once_make_one_account(
    with_github: ServedProduct, github: FakeGitHub, app_database: str
) -> None:
    github.person = MONA
    browsers = [await with_github.client() for _ in range(6)]
    trips = [await start_flow(browser) for browser in browsers]
    ends = await asyncio.gather(*(finish_flow(one, trip.back) for one, trip in zip(browsers, trips, strict=True)))
    assert ends == ["/connections"] * 6
    assert [await find_person(browser) for browser in browsers] == [EMAIL] * 6
    assert await run_sql(app_database, "SELECT count(*) FROM users") == [(1,)]
    assert (await list_kinds(app_database)).count("signup") == 1


async def test_the_same_number_with_two_addresses_at_once_makes_one_account(
    with_github: ServedProduct, github: FakeGitHub, app_database: str
) -> None:
    browsers, trips = [await with_github.client() for _ in range(6)], []
    for number, browser in enumerate(browsers):
        github.person = make_person(7, "mona", f"mona{number}@example.com")
        trips.append(await start_flow(browser))
    ends = await asyncio.gather(*(finish_flow(one, trip.back) for one, trip in zip(browsers, trips, strict=True)))
    assert ends == ["/connections"] * 6
    assert await run_sql(app_database, "SELECT count(*) FROM users") == [(1,)]


async def test_starts_and_new_accounts_are_limited(serve: Serve, github: FakeGitHub, app_database: str) -> None:
    limits = tight_limits(github_start=Limit(3, 60), signup_address=Limit(1, 60))
    product = await serve(github.settings(), limits=limits)
    client = await product.client()
    for number, end in ((1, "/connections"), (2, trouble("rate_limited")), (1, "/connections")):
        github.person = make_person(number, "someone", f"someone{number}@example.com")
        client.cookies.delete(SESSION) if SESSION in client.cookies else None
        assert await complete_flow(client) == end
    answer = await client.get(START)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) > 0
    assert await run_sql(app_database, "SELECT count(*) FROM users") == [(1,)]


async def test_a_sign_in_from_a_new_place_is_mailed(serve_mailing: ServeMailing, github: FakeGitHub) -> None:
    mailing = await serve_mailing(github.settings())
    github.person = MONA
    await complete_flow(await mailing.product.client())
    elsewhere = await mailing.product.client()
    elsewhere.headers["user-agent"] = "Firefox"
    await mailing.query("UPDATE signin_sessions SET address = '192.0.2.7'")
    await complete_flow(elsewhere)
    await mailing.postbox.wait(to=EMAIL)
    await mailing.finish_jobs()
    assert len(mailing.subjects(EMAIL)) == 1


async def test_where_it_is_not_set_up_nothing_of_it_is_there(product: ServedProduct, owner: httpx.AsyncClient) -> None:
    client = await product.client()
    for path in (START, "/api/auth/callback/github?state=x&code=y", "/signin", "/signup"):
        answer = await client.get(path)
        assert answer.status_code == (404 if path.startswith("/api") else 200)
        assert "GitHub" not in answer.text
    assert (await owner.get("/settings/account/github")).status_code == 404
    assert (await owner.post("/api/account/github/link")).status_code == 404
    assert (await owner.delete("/api/account/github")).status_code == 404


async def test_the_pages_offer_it_where_it_is_set_up(with_github: ServedProduct) -> None:
    client = await with_github.client()
    page = (await client.get("/signin?next=/connections/new")).text
    assert f'href="{START}?next=/connections/new"' in page
    assert "Continue with GitHub" in (await client.get("/signup")).text
    answer = await client.post("/signin", data={"email": "a@example.com", "password": "wrong"})
    assert "Continue with GitHub" in answer.text


def load(**given: Any) -> Any:
    key = base64.b64encode(os.urandom(32)).decode()
    base = {
        "DATABASE_URL": "postgresql://x@127.0.0.1/x",
        "BASEWARDEN_SECRET": "s" * 32,
        "BASEWARDEN_ENCRYPTION_KEY": key,
    }
    return load_settings(**base, **given)


def test_the_id_and_the_secret_go_together() -> None:
    for given in ({"AUTH_GITHUB_ID": "x"}, {"AUTH_GITHUB_SECRET": "hush-hush"}):
        with pytest.raises(StartError) as caught:
            load(**given)
        assert str(caught.value) == "AUTH_GITHUB_ID and AUTH_GITHUB_SECRET must both be set."
    assert load(AUTH_GITHUB_ID="x", AUTH_GITHUB_SECRET="y").has_github
    assert not load().has_github
    assert not load(AUTH_GITHUB_ID="", AUTH_GITHUB_SECRET="").has_github


@pytest.mark.parametrize(
    "address", ["github.com", "ftp://github.com", "https://a:b@github.com", "https://x.com/path", ""]
)
def test_githubs_address_is_an_origin(address: str) -> None:
    with pytest.raises(StartError, match=r"AUTH_GITHUB_BASE_URL: must look like https://github\.example\.com"):
        load(AUTH_GITHUB_BASE_URL=address)


def test_githubs_own_interface_is_elsewhere() -> None:
    public = GitHubClient(load(AUTH_GITHUB_ID="x", AUTH_GITHUB_SECRET="y"))
    assert (public._api, public.provider) == ("https://api.github.com", "github")
    own = GitHubClient(load(AUTH_GITHUB_BASE_URL="https://GitHub.Example.com/"))
    assert (own._api, own.provider) == ("https://github.example.com/api/v3", "github:github.example.com")
