"""Invitations where emails are sent: what is in them, whose they are, and the way from one to the connection."""

from dataclasses import dataclass

import httpx
import pytest
from starlette.routing import compile_path

from basewarden.connections.invitations.emails import make_safe_name
from tests.fixtures.app import PASSWORD, ProjectDatabase, read_refusal
from tests.fixtures.html_forms import find_forms, read_forms
from tests.fixtures.mailing import Mailing
from tests.fixtures.members import read_token

OWNER, INVITED = "owner@example.com", "invited@example.com"


@dataclass(frozen=True)
class Inviter:
    """An owner whose address is confirmed, and their connection."""

    mailing: Mailing
    client: httpx.AsyncClient
    path: str

    async def invite(self, email: str = INVITED, role: str = "editor") -> httpx.Response:
        return await self.client.post(self.path, json={"email": email, "role": role})

    async def read_link(self, count: int = 1) -> str:
        return "/invitations/" + await self.mailing.read_token(INVITED, page="invitations", count=count)


async def confirm(mailing: Mailing, email: str) -> None:
    await mailing.query("UPDATE users SET email_verified_at = now() WHERE email = %s", email)


@pytest.fixture
async def inviter(mailing: Mailing, project: ProjectDatabase) -> Inviter:
    await mailing.product.sign_up(OWNER)
    await confirm(mailing, OWNER)
    client = await mailing.product.client()
    assert (await client.post("/api/auth/signin", json={"email": OWNER, "password": PASSWORD})).is_success
    made = await client.post("/api/connections", json={"name": "Shop", "postgresUrl": project.dsn})
    return Inviter(mailing, client, f"/api/connections/{made.json()['id']}/members/invitations")


async def test_the_email_leads_to_the_invitation(inviter: Inviter) -> None:
    answer = await inviter.invite()
    assert (answer.status_code, answer.json()["acceptUrl"]) == (201, None)
    (email,) = await inviter.mailing.postbox.wait(to=INVITED)
    assert email.subject == "owner@example.com invited you to “Shop” on Basewarden"
    (link,) = email.links
    assert link.startswith(f"{inviter.mailing.product.settings.origin}/invitations/")
    for text in (email.text, email.html):
        assert link in text
        assert "changes rows and undoes changes" in text
    assert "because the sender named above entered your address" in email.html
    assert read_token(link) not in (await inviter.client.get(inviter.path)).text


async def test_names_cannot_put_links_into_the_email(inviter: Inviter) -> None:
    connection = inviter.path.removesuffix("/members/invitations")
    await inviter.client.patch(connection, json={"name": "win at evil.example/now"})
    await inviter.client.patch("/api/account/profile", json={"name": "<b>https://evil.example</b>"})
    await inviter.mailing.query("UPDATE users SET name = '<b>https://evil.example</b>' WHERE email = %s", OWNER)
    fresh = await inviter.mailing.product.client()
    await fresh.post("/api/auth/signin", json={"email": OWNER, "password": PASSWORD})
    assert (await fresh.post(inviter.path, json={"email": INVITED, "role": "viewer"})).status_code == 201
    (email,) = await inviter.mailing.postbox.wait(to=INVITED)
    assert email.subject == "owner@example.com invited you to a connection on Basewarden"
    for text in (email.subject, email.text, email.html):
        assert "evil" not in text


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("Dr. Ada", "Dr. Ada"),
        ("evil.example", None),
        ("a@b", None),
        ("http://x", None),
        ("WWW evil", None),
        ("   ", None),
    ],
)
def test_a_name_that_could_pass_for_an_address_is_left_out(name: str, safe: str | None) -> None:
    assert make_safe_name(name) == safe


async def test_markup_in_a_name_is_text(inviter: Inviter) -> None:
    await inviter.client.patch(inviter.path.removesuffix("/members/invitations"), json={"name": "<i>Shop & co"})
    assert (await inviter.invite()).status_code == 201
    (email,) = await inviter.mailing.postbox.wait(to=INVITED)
    assert "&lt;i&gt;Shop &amp; co" in email.html
    assert "<i>" not in email.html


async def test_an_owner_confirms_their_own_address_before_they_invite(
    mailing: Mailing, project: ProjectDatabase
) -> None:
    client = await mailing.sign_up("new@example.com")
    made = await client.post("/api/connections", json={"name": "Shop", "postgresUrl": project.dsn})
    path = f"/api/connections/{made.json()['id']}/members/invitations"
    answer = await client.post(path, json={"email": INVITED, "role": "viewer"})
    assert read_refusal(answer) == (403, "address_unverified")
    await mailing.finish_jobs()
    assert mailing.subjects(INVITED) == []


async def test_an_address_gets_only_so_many_emails(inviter: Inviter) -> None:
    for _ in range(3):
        assert (await inviter.invite()).status_code == 201
    answer = await inviter.invite()
    assert read_refusal(answer) == (429, "rate_limited")
    assert "This address got several emails" in answer.json()["message"]
    listed = (await inviter.client.get(inviter.path)).json()["invitations"]
    again = await inviter.client.post(f"{inviter.path}/{listed[0]['id']}/resend")
    assert read_refusal(again) == (429, "rate_limited")
    await inviter.mailing.finish_jobs()
    assert len(inviter.mailing.subjects(INVITED)) == 3


async def test_an_account_must_confirm_its_address_before_it_accepts(inviter: Inviter) -> None:
    await inviter.invite()
    link = await inviter.read_link()
    invited = await inviter.mailing.product.sign_up(INVITED)
    assert read_refusal(await invited.post(f"/api{link}/accept")) == (403, "address_unverified")
    page = await invited.get(link)
    assert "Confirm your email address first" in page.text
    (form,) = find_forms(page, compile_path("/settings/account/verify")[0])
    answer = await form.submit(invited, page)
    assert answer.headers["location"] == f"{link}?done=verify"
    assert "We sent a link" in (await invited.get(answer.headers["location"])).text
    token = await inviter.mailing.read_token(INVITED, count=2)
    confirmed = await invited.post(f"/verify-email/{token}")
    assert confirmed.headers["location"] == link
    assert "Accept invitation" in (await invited.get(link)).text
    assert (await invited.post(f"/api{link}/accept")).status_code == 200


async def test_an_invitation_leads_through_signing_up_and_back(inviter: Inviter) -> None:
    """As a browser without script: invitation, sign-up, the email's link, invitation, connection."""
    await inviter.invite()
    link = await inviter.read_link()
    browser = await inviter.mailing.product.client()
    page = await browser.get(link)
    assert page.status_code == 200
    assert page.headers["referrer-policy"] == "strict-origin"
    assert INVITED not in page.text
    assert f'href="/signup?next={link}"' in page.text
    page = await browser.get(f"/signup?next={link}")
    (form,) = [one for one in read_forms(page) if one.method == "post"]
    form.fill({"name": "Ina", "email": INVITED, "password": PASSWORD})
    answer = await form.submit(browser, page)
    assert answer.headers["location"] == "/signup?done=sent"
    token = await inviter.mailing.read_token(INVITED)
    answer = await browser.post(f"/verify-email/{token}")
    assert answer.headers["location"] == link
    page = await browser.get(link)
    (form,) = [one for one in read_forms(page) if one.action == link]
    answer = await form.submit(browser, page)
    connection_id = inviter.path.split("/")[3]
    assert answer.headers["location"] == f"/c/{connection_id}?done=joined"
    assert "You are a member now." in (await browser.get(answer.headers["location"])).text
    assert "basewarden.return" not in browser.cookies


async def test_an_invitation_leads_through_signing_in_and_back(inviter: Inviter) -> None:
    await inviter.invite()
    link = await inviter.read_link()
    await inviter.mailing.product.sign_up(INVITED)
    await confirm(inviter.mailing, INVITED)
    browser = await inviter.mailing.product.client()
    page = await browser.get(f"/signin?next={link}")
    (form,) = [one for one in read_forms(page) if one.method == "post"]
    assert f'href="/signup?next={link}"' in page.text
    form.fill({"email": INVITED, "password": PASSWORD})
    answer = await form.submit(browser, page)
    assert answer.headers["location"] == link
    assert "Accept invitation" in (await browser.get(link)).text


async def test_signing_up_never_leads_to_another_site(inviter: Inviter) -> None:
    browser = await inviter.mailing.product.client()
    account = {"email": "b@example.com", "password": PASSWORD, "next": "https://evil.example/"}
    answer = await browser.post("/signup", data=account)
    assert answer.headers["location"] == "/signup?done=sent"
    token = await inviter.mailing.read_token("b@example.com")
    assert (await browser.post(f"/verify-email/{token}")).headers["location"] == "/connections"
