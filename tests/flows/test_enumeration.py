"""A visitor cannot find out who has an account. How long the answers take: `python -m scripts.enumeration`."""

import json
from typing import Any

import httpx
import pytest

from tests.fixtures.app import PASSWORD, Serve, ServedProduct
from tests.fixtures.mail import Postbox
from tests.fixtures.mailing import Mailing

KNOWN, UNKNOWN, ELSEWHERE = "known@example.com", "unknown@example.com", "elsewhere@example.com"
FORGOT, SIGN_UP, SIGN_IN = "/api/account/forgot-password", "/api/auth/signup", "/api/auth/signin"
HOSTILE = [
    "",
    " ",
    "no address",
    "a@b",
    "x" * 320,
    "x" * 321,
    "x" * 50_000,
    "a\x00b@example.com",
    "\ud800",
    "é@ü.example",
]


def seen(answer: httpx.Response) -> tuple[Any, ...]:
    """All that a caller could tell two answers apart by."""
    varying = {"x-request-id", "date"}
    headers = {name: value for name, value in answer.headers.items() if name not in varying}
    return answer.status_code, headers, answer.content


async def post(client: httpx.AsyncClient, path: str, body: Any) -> httpx.Response:
    """As JSON with nothing but ASCII, so that half a character can be said."""
    return await client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})


@pytest.fixture
async def visitor(mailing: Mailing) -> httpx.AsyncClient:
    """Where one account has a password and another one signs in elsewhere."""
    for email in (KNOWN, ELSEWHERE):
        await mailing.sign_up(email)
    await mailing.query("UPDATE users SET password_hash = NULL WHERE email = %s", ELSEWHERE)
    return await mailing.product.client()


async def test_forgot_password_answers_any_string_alike(visitor: httpx.AsyncClient, mailing: Mailing) -> None:
    strings = [KNOWN, KNOWN.upper(), f" {KNOWN} ", UNKNOWN, ELSEWHERE, *HOSTILE]
    answers = [await post(visitor, FORGOT, {"email": text}) for text in strings]
    assert [seen(answer) for answer in answers] == [seen(answers[0])] * len(strings)
    assert (answers[0].status_code, answers[0].json()) == (200, {"ok": True, "configured": True})
    await mailing.finish_jobs()
    assert mailing.subjects(KNOWN).count("Reset your password") == 3
    assert {email.to for email in mailing.postbox.received} == {KNOWN, ELSEWHERE}
    assert await mailing.query("SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'") == 0


async def test_sign_up_answers_alike_and_only_the_owner_learns(visitor: httpx.AsyncClient, mailing: Mailing) -> None:
    emails = [KNOWN, UNKNOWN, ELSEWHERE]
    answers = [await post(visitor, SIGN_UP, {"email": email, "password": PASSWORD, "name": "N"}) for email in emails]
    assert [seen(answer) for answer in answers] == [seen(answers[0])] * 3
    assert (answers[0].status_code, answers[0].json()) == (201, {"ok": True})
    await mailing.finish_jobs()
    assert mailing.subjects(KNOWN) == ["Confirm your email address", "You already have an account"]
    assert mailing.subjects(UNKNOWN) == ["Confirm your email address"]
    assert await mailing.query("SELECT password_hash FROM users WHERE email = %s", ELSEWHERE) is None


@pytest.mark.parametrize("sends_emails", [True, False])
async def test_the_sign_up_page_answers_alike(
    visitor: httpx.AsyncClient, mailing: Mailing, serve: Serve, *, sends_emails: bool
) -> None:
    """Its cookies differ only by the address that was typed, and by bytes that cannot be distinguished."""
    product = mailing.product if sends_emails else await serve()
    emails = ["known@example.com", "empty@example.com", "other@example.com"]  # of one length; the first has an account
    answers = []
    for email in emails:
        browser = await product.client()
        answer = await browser.post("/signup", data={"email": email, "password": PASSWORD})
        page = await browser.get(answer.headers["location"])
        cookies = [(name, len(value)) for name, value in sorted(browser.cookies.items())]
        attributes = [cookie.partition(";")[2] for cookie in answer.headers.get_list("set-cookie")]
        shown = (page.status_code, page.text.replace(email, "the address"))
        answers.append((answer.status_code, answer.headers["location"], answer.content, cookies, attributes, shown))
    assert answers == [answers[0]] * len(emails)
    assert answers[0][1] == ("/signup?done=sent" if sends_emails else "/signin?done=signup")
    assert "the address" in answers[0][-1][1]


async def test_repeated_sign_ups_of_a_taken_address_do_not_flood_its_owner(
    visitor: httpx.AsyncClient, mailing: Mailing
) -> None:
    for _ in range(6):
        await post(visitor, SIGN_UP, {"email": KNOWN, "password": PASSWORD})
    await mailing.finish_jobs()
    assert mailing.subjects(KNOWN).count("You already have an account") == 3


async def test_sign_in_answers_alike(visitor: httpx.AsyncClient, mailing: Mailing) -> None:
    emails = [KNOWN, UNKNOWN, ELSEWHERE, "", "a\x00b"]
    answers = [await post(visitor, SIGN_IN, {"email": email, "password": "a wrong guess"}) for email in emails]
    assert [seen(answer) for answer in answers] == [seen(answers[0])] * len(emails)
    assert answers[0].status_code == 401
    await mailing.finish_jobs()
    failed = "SELECT count(*) FROM audit_events WHERE kind = 'signin_failed'"
    assert await mailing.query(failed) == 2


async def test_without_mail_it_says_so_and_leaves_nothing(
    product: ServedProduct, postbox: Postbox, app_database: str
) -> None:
    mailing = Mailing(product, postbox, app_database)  # of a product that does not know the postbox
    client = await product.sign_up(KNOWN)
    await mailing.finish_jobs()
    before = await mailing.query("SELECT max(id) FROM procrastinate_jobs")
    answers = [await post(client, FORGOT, {"email": email}) for email in (KNOWN, UNKNOWN)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"ok": True, "configured": False})] * 2
    assert await mailing.query("SELECT max(id) FROM procrastinate_jobs") == before
    assert await mailing.query("SELECT count(*) FROM account_tokens") == 0


async def test_what_is_no_string_is_422(client: httpx.AsyncClient) -> None:
    bodies: list[Any] = [{}, {"email": None}, {"email": 1}, {"email": ["a"]}, {"email": "a", "more": 1}, [], "a"]
    for body in bodies:
        answer = await post(client, FORGOT, body)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


async def test_the_page_answers_alike_too(visitor: httpx.AsyncClient) -> None:
    answers = [await visitor.post("/forgot", data={"email": email}) for email in (KNOWN, UNKNOWN)]
    assert [seen(answer) for answer in answers] == [seen(answers[0])] * 2
    assert answers[0].headers["location"] == "/forgot?done=sent"
    assert "If this address has an account" in (await visitor.get("/forgot?done=sent")).text


async def test_the_page_is_honest_where_no_emails_are_sent(serve: Serve) -> None:
    client = await (await serve()).client()
    page = (await client.get("/forgot")).text
    assert "cannot send email" in page
    await client.post("/api/auth/signup", json={"email": "known@example.com", "password": PASSWORD})
    answers = []
    for email in ("known@example.com", "other@example.com"):
        answer = await client.post("/forgot", data={"email": email})
        assert f"basewarden link {email} reset" in answer.text
        answers.append((answer.status_code, answer.text.replace(email, "")))
    assert answers[0] == answers[1], "nothing is looked up"
