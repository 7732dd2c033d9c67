"""From signing up straight in: the first account of a deployment, the link of the email, and no mail at all."""

import asyncio
from collections import Counter
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from basewarden.accounts import Purpose, make_operator_link
from basewarden.accounts.signup.browsers import SignUpBrowsers
from basewarden.accounts.signup.cookies import read_address_cookie
from basewarden.core.ids import make_id
from basewarden.core.secret import Secret
from basewarden.db import Database
from tests.fixtures.app import PASSWORD, Serve, ServedProduct
from tests.fixtures.mailing import Mailing
from tests.fixtures.twofactor import StepClock, turn_on

FIRST, ANNA, BERT = "first@example.com", "anna@example.com", "bert@example.com"
COOKIE = "authjs.session-token"
NEW = "a short swim in the lake"


async def sign_up(browser: httpx.AsyncClient, email: str, name: str = "") -> str:
    """By the page; returns where it leads."""
    answer = await browser.post("/signup", data={"email": email, "password": PASSWORD, "name": name})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def sign_in(browser: httpx.AsyncClient, email: str) -> None:
    answer = await browser.post("/api/auth/signin", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200


async def get_email(browser: httpx.AsyncClient) -> str | None:
    """Of the person who is signed in."""
    session = (await browser.get("/api/auth/session")).json()
    return session["user"]["email"] if session else None


async def read_path(mailing: Mailing, email: str) -> str:
    return f"/verify-email/{await mailing.read_token(email)}"


@pytest.fixture
async def newcomer(mailing: Mailing) -> httpx.AsyncClient:
    """A browser that has signed up as Anna, who is not the first."""
    await mailing.sign_up(FIRST)
    browser = await mailing.product.client()
    assert await sign_up(browser, ANNA) == "/signup?done=sent"
    return browser


async def test_the_first_account_is_signed_in_at_once(mailing: Mailing) -> None:
    browser = await mailing.product.client()
    assert await sign_up(browser, ANNA) == "/connections"
    assert await get_email(browser) == ANNA
    assert (await browser.get("/connections")).status_code == 200
    assert await mailing.query("SELECT count(*) FROM audit_events WHERE kind = 'signin'") == 1
    await mailing.finish_jobs()
    assert mailing.subjects(ANNA) == ["Confirm your email address"]
    other = await mailing.product.client()
    assert await sign_up(other, BERT) == "/signup?done=sent"
    assert await get_email(other) is None


async def test_the_first_address_twice_at_once_makes_one_account(product: ServedProduct, app_database: str) -> None:
    browsers = [await product.client() for _ in range(4)]
    places = Counter(await asyncio.gather(*(sign_up(browser, ANNA) for browser in browsers)))
    assert places == {"/connections": 1, "/signin?done=signup": 3}


async def test_a_sign_up_over_the_api_does_not_sign_in(product: ServedProduct) -> None:
    browser = await product.client()
    answer = await browser.post("/api/auth/signup", json={"email": ANNA, "password": PASSWORD})
    assert (answer.status_code, answer.json(), list(browser.cookies)) == (201, {"ok": True}, [])


async def test_without_mail_the_sign_in_form_has_the_address(product: ServedProduct) -> None:
    await product.sign_up(FIRST)
    browser = await product.client()
    assert await sign_up(browser, ANNA) == "/signin?done=signup"
    page = (await browser.get("/signin?done=signup")).text
    assert "Sign in with the password you just chose" in page
    assert f'value="{ANNA}"' in page
    assert f'value="{ANNA}"' not in (await browser.get("/signin")).text
    assert (await browser.get("/signup?done=sent")).text.count("We sent you a link") == 0


async def test_the_link_confirms_and_signs_in_after_a_press(newcomer: httpx.AsyncClient, mailing: Mailing) -> None:
    sent = (await newcomer.get("/signup?done=sent")).text
    assert "We sent you a link" in sent
    assert ANNA in sent
    path = await read_path(mailing, ANNA)
    page = await newcomer.get(path)
    assert "Confirm and sign in" in page.text
    assert ANNA in page.text
    assert await get_email(newcomer) is None  # opening changes nothing
    answer = await newcomer.post(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/connections")
    assert await get_email(newcomer) == ANNA
    assert await mailing.query("SELECT email_verified_at IS NOT NULL FROM users WHERE email = %s", ANNA) is True
    assert await mailing.query("SELECT method FROM signin_sessions ORDER BY id DESC") == "link"
    activity = (await newcomer.get("/settings/account/activity")).text
    assert "Signed in with a link from an email" in activity
    assert "Confirmed the email address" in activity
    assert "a link from an email" in (await newcomer.get("/settings/account/sessions")).text


async def test_the_link_works_once(newcomer: httpx.AsyncClient, mailing: Mailing) -> None:
    path = await read_path(mailing, ANNA)
    answers = await asyncio.gather(*(newcomer.post(path) for _ in range(6)))
    assert Counter(answer.status_code for answer in answers) == {303: 1, 409: 5}
    assert await mailing.query("SELECT count(*) FROM signin_sessions WHERE method = 'link'") == 1
    await newcomer.post("/signout")
    assert (await newcomer.post(path)).status_code == 409
    assert await get_email(newcomer) is None


async def test_the_link_expires(newcomer: httpx.AsyncClient, mailing: Mailing) -> None:
    path = await read_path(mailing, ANNA)
    await mailing.query("UPDATE account_tokens SET expires_at = now()")
    assert (await newcomer.post(path)).status_code == 410
    assert await get_email(newcomer) is None


async def test_in_another_browser_the_link_does_not_sign_in(newcomer: httpx.AsyncClient, mailing: Mailing) -> None:
    """Neither a person who was sent a stranger's link, nor the owner of an address that a stranger signed up."""
    path, other = await read_path(mailing, ANNA), await mailing.product.client()
    page = await other.get(path)
    assert "Confirm address" in page.text
    assert "Confirm and sign in" not in page.text
    answer = await other.post(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin?done=verified")
    assert await get_email(other) is None
    assert f'value="{ANNA}"' in (await other.get("/signin?done=verified")).text


async def test_the_cookie_of_one_sign_up_is_worth_nothing_for_another(mailing: Mailing) -> None:
    await mailing.sign_up(FIRST)
    anna, bert = await mailing.product.client(), await mailing.product.client()
    await sign_up(anna, ANNA)
    await sign_up(bert, BERT)
    await sign_up(bert, ANNA)  # taken: its cookie names no account
    path = await read_path(mailing, ANNA)
    assert (await bert.post(path)).headers["location"] == "/signin?done=verified"
    assert await get_email(bert) is None


async def test_who_is_signed_in_stays_who_they_are(newcomer: httpx.AsyncClient, mailing: Mailing) -> None:
    """Also in the browser that signed up: nothing puts a stranger's account in the place of one's own."""
    await sign_in(newcomer, FIRST)
    kept, path = newcomer.cookies[COOKIE], await read_path(mailing, ANNA)
    assert "Confirm address" in (await newcomer.get(path)).text
    answer = await newcomer.post(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/account?done=verified")
    assert "The email address is confirmed." in (await newcomer.get(answer.headers["location"])).text
    assert (await get_email(newcomer), newcomer.cookies[COOKIE]) == (FIRST, kept)
    assert await mailing.query("SELECT email_verified_at IS NOT NULL FROM users WHERE email = %s", ANNA) is True


async def test_a_new_password_leaves_the_link_only_its_address(newcomer: httpx.AsyncClient, mailing: Mailing) -> None:
    path = await read_path(mailing, ANNA)
    anna = await mailing.product.client()
    await sign_in(anna, ANNA)
    change = {"currentPassword": PASSWORD, "newPassword": NEW}
    assert (await anna.post("/api/account/change-password", json=change)).status_code == 200
    assert (await newcomer.post(path)).headers["location"] == "/signin?done=verified"
    assert await get_email(newcomer) is None


async def test_a_second_factor_is_asked_for(newcomer: httpx.AsyncClient, mailing: Mailing, clock: StepClock) -> None:
    path, anna = await read_path(mailing, ANNA), await mailing.product.client()
    await sign_in(anna, ANNA)
    await turn_on(anna, ANNA, clock)
    answer = await newcomer.post(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin/2fa?next=/connections")
    assert (await newcomer.get("/api/connections")).json()["code"] == "mfa_required"


async def test_a_new_place_is_announced(newcomer: httpx.AsyncClient, mailing: Mailing) -> None:
    path = await read_path(mailing, ANNA)
    await sign_in(newcomer, ANNA)
    await newcomer.post("/signout")
    await mailing.query("UPDATE signin_sessions SET address = '192.0.2.1', client = 'Elsewhere'")
    assert (await newcomer.post(path)).headers["location"] == "/connections"
    await mailing.finish_jobs()
    email = mailing.postbox.find(ANNA)[-1]
    assert email.subject == "New sign-in to your account"
    assert "with a link from an email" in email.text


async def test_a_foreign_page_neither_signs_up_nor_uses_a_link(newcomer: httpx.AsyncClient, mailing: Mailing) -> None:
    path, foreign = await read_path(mailing, ANNA), {"origin": "https://evil.example"}
    form = {"email": BERT, "password": PASSWORD}
    assert (await newcomer.post(path, headers=foreign)).status_code == 403
    assert (await newcomer.post("/signup", data=form, headers=foreign)).status_code == 403
    assert await get_email(newcomer) is None
    assert await mailing.query("SELECT count(*) FROM users") == 2


async def test_the_owner_of_a_taken_address_gets_another_email(mailing: Mailing) -> None:
    await mailing.sign_up(FIRST)
    browser = await mailing.product.client()
    assert await sign_up(browser, FIRST) == "/signup?done=sent"
    await mailing.finish_jobs()
    email = mailing.postbox.find(FIRST)[-1]
    assert email.subject == "You already have an account"
    assert not any("/verify-email/" in link for link in email.links)


async def test_a_link_of_the_operator_signs_the_same_browser_in(serve: Serve) -> None:
    product = await serve()
    await product.sign_up(FIRST)
    browser = await product.client()
    await sign_up(browser, ANNA)
    link = await make_operator_link(product.registry.get(Database), product.settings, ANNA, Purpose.VERIFY)
    assert (await browser.post(urlsplit(link).path)).headers["location"] == "/connections"
    assert await get_email(browser) == ANNA


def test_a_cookie_is_for_one_account_and_cannot_be_forged() -> None:
    browsers, user_id = SignUpBrowsers(Secret("a secret of a deployment")), make_id()
    cookie = browsers.issue(user_id)
    assert browsers.has_signed_up(cookie, user_id)
    assert not browsers.has_signed_up(cookie, make_id())
    assert not SignUpBrowsers(Secret("the secret of another deployment")).has_signed_up(cookie, user_id)
    issued_at, mac = cookie.split(".")
    for forged in ("", ".", f".{mac}", f"{issued_at}.", f"{int(issued_at) + 1}.{mac}", f"²{cookie}", "9" * 5000, "é.é"):
        assert not browsers.has_signed_up(forged, user_id)


def test_a_cookie_ends_with_its_link(monkeypatch: pytest.MonkeyPatch) -> None:
    browsers, user_id = SignUpBrowsers(Secret("a secret of a deployment")), make_id()
    cookie = browsers.issue(user_id)
    monkeypatch.setattr("basewarden.accounts.signup.browsers.TTL", timedelta(0))
    assert not browsers.has_signed_up(cookie, user_id)


async def test_a_hostile_address_cookie_is_only_text(product: ServedProduct) -> None:
    for value in ("%00", "é", "a" * 5000, "====", "PHNjcmlwdD4", "//8"):
        scope = {"headers": [(b"cookie", f"basewarden.address={value}".encode())]}
        assert "\x00" not in read_address_cookie(scope, product.settings)
        browser = await product.client()
        page = await browser.get("/signin?done=signup", headers=[(b"cookie", f"basewarden.address={value}".encode())])
        assert page.status_code == 200
        assert "<script>" not in page.text.partition("</head>")[2]
