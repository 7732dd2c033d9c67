"""The account's own pages, without script: forms that keep what was typed, state in words, and the shell around them."""

import re
from collections.abc import AsyncIterator
from html import unescape

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from basewarden.accounts import Limit
from tests.fixtures.app import PASSWORD, ServedProduct, tight_limits
from tests.fixtures.mailing import Mailing, ServeMailing
from tests.fixtures.twofactor import Protect
from tests.flows.records import Records

ANNA = "anna@example.com"
NEW = "a short swim in the lake"
HERE = "/settings/account"
SESSIONS, ACTIVITY, CONFIRM = f"{HERE}/sessions", f"{HERE}/activity", f"{HERE}/confirm"
TABS = ("", "/2fa", "/passkeys", "/sessions", "/activity", "/data")
BANNER = 'action="/settings/account/verify"'
COOKIE = "authjs.session-token"


@pytest.fixture
async def records(app_database: str) -> AsyncIterator[Records]:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as connection:
        yield Records(connection)


@pytest.fixture
async def anna(product: ServedProduct) -> httpx.AsyncClient:
    return await product.sign_up(ANNA)


async def sign_in(product: ServedProduct, password: str = PASSWORD) -> httpx.AsyncClient:
    client = await product.client()
    assert (await client.post("/api/auth/signin", json={"email": ANNA, "password": password})).status_code == 200
    return client


def read_text(page: str) -> str:
    """What a reader sees, as far as words go."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


async def test_every_page_has_the_tabs_the_sidebar_and_a_way_from_the_menu(
    anna: httpx.AsyncClient, records: Records
) -> None:
    await records.add_connection("Shop <1>", await records.person_id(ANNA))
    for tab in TABS:
        page = await anna.get(HERE + tab)
        assert page.status_code == 200, tab
        assert re.search(
            r'class="sidebar-link sidebar-back" href="/c/[0-9a-f-]{36}">.*Shop &lt;1&gt;</span></a>', page.text
        )
        (sidebar,) = re.findall(
            r'<ul class="sidebar-list" aria-labelledby="sidebar-account">.*?</ul>', page.text, re.DOTALL
        )
        (tabs,) = re.findall(r'<nav class="tabs".*?</nav>', page.text, re.DOTALL)
        for navigation in (sidebar, tabs):
            assert [f'href="{HERE}{one}"' in navigation for one in TABS] == [True] * len(TABS)
            assert re.findall(r'href="([^"]*)" aria-current="page"', navigation) == [HERE + tab]
            assert "/settings/billing" not in navigation
        assert page.text.count("<h1>") == 1
    menu = (await anna.get("/connections")).text
    assert re.search(rf'<a href="{HERE}">.*Your account</a>', menu)
    assert "Shop &lt;1&gt;" in menu


@pytest.mark.parametrize("path", [HERE, SESSIONS, ACTIVITY, f"{CONFIRM}?next=/settings/account"])
async def test_a_signed_out_visitor_is_sent_to_sign_in(product: ServedProduct, path: str) -> None:
    answer = await (await product.client()).get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/signin?next=/settings/account")


async def test_the_overview_says_the_state_of_everything(anna: httpx.AsyncClient, product: ServedProduct) -> None:
    words = read_text((await anna.get(HERE)).text)
    for sentence in (
        f"You sign in with {ANNA}",
        "Email address ○ not confirmed",
        "Two-factor authentication Only your password protects your account ! off",
        "Passkeys Sign in with your fingerprint, face or PIN ○ none",
        "Only this browser is signed in",
        "Signed in with a password,",
        "You can cancel for thirty days",
        "this deployment cannot send email",
    ):
        assert sentence in words
    assert "GitHub" not in words
    await sign_in(product)
    assert "2 browsers are signed in, including this one" in read_text((await anna.get(HERE)).text)


async def test_the_overview_of_a_well_kept_account(timed: ServedProduct, protect: Protect) -> None:
    person = (await protect(timed)).person
    assert "Two-factor authentication 10 recovery codes left ✓ on" in read_text((await person.get(HERE)).text)


async def test_a_name_is_saved_and_a_bad_one_comes_back(anna: httpx.AsyncClient) -> None:
    answer = await anna.post(f"{HERE}/name", data={"name": "Anna <b>"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=name")
    page = (await anna.get(f"{HERE}?done=name")).text
    assert "Name saved." in page
    assert 'value="Anna &lt;b&gt;"' in page
    assert "Account of Anna &lt;b&gt;" in page
    refused = await anna.post(f"{HERE}/name", data={"name": "x" * 121})
    assert refused.status_code == 422
    assert "x" * 121 in refused.text
    assert 'aria-describedby="name-error"' in refused.text
    assert (await anna.post(f"{HERE}/name", data={"name": ""})).status_code == 303
    assert (await anna.get("/api/account")).json()["name"] == ""


async def test_a_password_is_changed_and_the_others_are_out(anna: httpx.AsyncClient, product: ServedProduct) -> None:
    other, old = await sign_in(product), anna.cookies[COOKIE]
    form = {"currentPassword": PASSWORD, "newPassword": NEW}
    answer = await anna.post(f"{HERE}/password", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=password")
    assert anna.cookies[COOKIE] != old
    assert "Password changed." in (await anna.get(f"{HERE}?done=password")).text
    assert (await other.get(HERE)).status_code == 303
    assert (await sign_in(product, NEW)).cookies


@pytest.mark.parametrize(
    ("form", "field", "sentence"),
    [
        ({"currentPassword": "a wrong guess", "newPassword": NEW}, "currentPassword", "The password is wrong."),
        ({"currentPassword": PASSWORD, "newPassword": "weak pw"}, "newPassword", "Use at least 8 characters"),
        ({"currentPassword": PASSWORD, "newPassword": PASSWORD}, "newPassword", "already your password"),
        ({"currentPassword": "", "newPassword": NEW}, "currentPassword", "Field required"),
    ],
)
async def test_a_refused_password_is_explained_and_never_shown(
    anna: httpx.AsyncClient, product: ServedProduct, form: dict[str, str], field: str, sentence: str
) -> None:
    answer = await anna.post(f"{HERE}/password", data=form)
    assert answer.status_code == 422
    assert sentence in answer.text
    tag = re.search(rf'<input[^>]*id="{field}"[^>]*>', answer.text)
    assert tag is not None
    assert 'aria-invalid="true"' in tag[0]
    for secret in (value for value in form.values() if value):
        assert secret not in answer.text
    await sign_in(product)


async def test_guesses_at_the_password_are_counted_on_the_page_too(serve_mailing: ServeMailing) -> None:
    product = (await serve_mailing(limits=tight_limits(password_account=Limit(1, 300)))).product
    anna = await product.sign_up(ANNA)
    form = {"currentPassword": "a wrong guess", "newPassword": NEW}
    assert (await anna.post(f"{HERE}/password", data=form)).status_code == 422
    answer = await anna.post(f"{HERE}/password", data={**form, "currentPassword": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_an_address_is_changed_by_the_email(mailing: Mailing) -> None:
    anna = await mailing.sign_up(ANNA)
    answer = await anna.post(f"{HERE}/email", data={"email": "new@example.com"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=email")
    assert "We sent a link to the new address" in (await anna.get(f"{HERE}?done=email")).text
    token = await mailing.read_token("new@example.com")
    assert (await anna.post(f"/verify-email/{token}")).status_code == 303
    assert "Email address ✓ confirmed You sign in with new@example.com" in read_text((await anna.get(HERE)).text)

    refused = await anna.post(f"{HERE}/email", data={"email": "no address"})
    assert refused.status_code == 422
    assert 'value="no address"' in refused.text
    same = await anna.post(f"{HERE}/email", data={"email": "new@example.com"})
    assert "This is already your address." in same.text


async def test_changing_the_address_asks_who_one_is_and_loses_nothing(mailing: Mailing) -> None:
    anna = await mailing.sign_up(ANNA)
    await mailing.query("UPDATE signin_sessions SET authenticated_at = now() - interval '11 minutes'")
    page = (await anna.get(HERE)).text
    assert f'action="{HERE}/email"' not in page
    assert f'href="{CONFIRM}?next={HERE}"' in page
    stale = await anna.post(f"{HERE}/email", data={"email": "new@example.com"})
    assert stale.status_code == 403
    assert 'value="new@example.com"' in stale.text
    assert f'action="{HERE}/email"' in stale.text
    assert 'target="_blank"' in stale.text
    assert mailing.postbox.find("new@example.com") == []
    await anna.post(CONFIRM, data={"password": PASSWORD, "next": HERE})
    assert (await anna.post(f"{HERE}/email", data={"email": "new@example.com"})).status_code == 303
    await mailing.postbox.wait(to="new@example.com")


async def test_without_mail_no_address_is_changed_and_the_page_says_why(anna: httpx.AsyncClient) -> None:
    for path, form in (("/email", {"email": "new@example.com"}), ("/verify", {})):
        answer = await anna.post(HERE + path, data=form)
        assert answer.headers["location"] == f"{HERE}?done=no-email"
    assert "This deployment cannot send email" in (await anna.get(f"{HERE}?done=no-email")).text
    assert BANNER not in (await anna.get("/connections")).text


async def test_the_banner_sends_the_email_again_until_it_is_answered(mailing: Mailing) -> None:
    anna = await mailing.sign_up(ANNA)
    for path in ("/connections", "/connections/new", HERE, SESSIONS):
        assert BANNER in (await anna.get(path)).text
    answer = await anna.post(f"{HERE}/verify")
    assert answer.headers["location"] == f"{HERE}?done=verify"
    token = await mailing.read_token(ANNA, count=2)
    assert (await anna.post(f"/verify-email/{token}")).status_code == 303
    assert BANNER not in (await anna.get("/connections")).text
    assert (await anna.post(f"{HERE}/verify")).headers["location"] == HERE


async def test_the_deletion_banner_can_keep_the_account(anna: httpx.AsyncClient, records: Records) -> None:
    await records.run("UPDATE users SET deletion_due_at = '2099-03-05'")
    keep = f'action="{HERE}/delete/cancel"'
    page = await anna.get("/connections")
    assert keep in page.text
    assert "Your account will be deleted on 5 March 2099" in read_text(page.text)
    assert (await anna.get(f"{HERE}/data")).text.count(keep) == 1
    assert "Scheduled for 5 March 2099" in read_text((await anna.get(HERE)).text)
    await anna.post(f"{HERE}/delete/cancel")
    assert keep not in (await anna.get("/connections")).text


async def test_sign_ins_are_listed_and_ended(anna: httpx.AsyncClient, product: ServedProduct) -> None:
    other = await product.client()
    other.headers["user-agent"] = 'evil<"script>/1'
    await other.post("/api/auth/signin", json={"email": ANNA, "password": PASSWORD})
    page = (await anna.get(SESSIONS)).text
    assert "evil&lt;" in page
    assert 'evil<"' not in page
    assert read_text(page).count("this browser") == 1
    assert page.count("data-moment") == 3  # this one was seen now
    assert ">now<" in page
    (end,) = re.findall(rf'action="({SESSIONS}/[^"]*/end)"', page)
    answer = await anna.post(end)
    assert answer.headers["location"] == f"{SESSIONS}?done=ended"
    assert "That browser was signed out." in (await anna.get(answer.headers["location"])).text
    assert (await other.get(SESSIONS)).status_code == 303
    assert (await anna.post(end)).status_code == 404
    assert f"{SESSIONS}/end-others" not in (await anna.get(SESSIONS)).text


async def test_all_others_are_ended_with_one_button(anna: httpx.AsyncClient, product: ServedProduct) -> None:
    others = [await sign_in(product) for _ in range(2)]
    assert f'action="{SESSIONS}/end-others"' in (await anna.get(SESSIONS)).text
    answer = await anna.post(f"{SESSIONS}/end-others")
    assert answer.headers["location"] == f"{SESSIONS}?done=ended-others"
    assert [(await other.get(SESSIONS)).status_code for other in others] == [303, 303]
    assert (await anna.get(SESSIONS)).status_code == 200


async def test_ending_the_own_sign_in_signs_out(anna: httpx.AsyncClient) -> None:
    (current,) = (await anna.get("/api/account/sessions")).json()["sessions"]
    answer = await anna.post(f"{SESSIONS}/{current['id']}/end")
    assert answer.headers["location"] == "/signin?done=signout"
    assert COOKIE not in anna.cookies


async def test_a_strangers_sign_in_is_404(anna: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    (current,) = (await anna.get("/api/account/sessions")).json()["sessions"]
    for wanted in (current["id"], "%00", "x"):
        assert (await stranger.post(f"{SESSIONS}/{wanted}/end")).status_code == 404
    assert (await anna.get(SESSIONS)).status_code == 200


async def test_activity_is_paged_and_only_ones_own(
    anna: httpx.AsyncClient, stranger: httpx.AsyncClient, records: Records
) -> None:
    await stranger.patch("/api/account", json={"name": "Stranger"})
    await records.run(
        "INSERT INTO audit_events (subject, kind, details, name)"
        " SELECT audit_id, 'passkey_added', '{}', '<key ' || n || '>' FROM users, generate_series(1, 55) AS n"
        " WHERE email = %s",
        ANNA,
    )
    first = await anna.get(ACTIVITY)
    assert "&lt;key 55&gt;" in first.text
    assert "&lt;key 5&gt;" not in first.text
    assert first.text.count("Added a passkey") == 50
    (following,) = re.findall(rf'href="({ACTIVITY}\?before=\d+)"', first.text)
    second = await anna.get(following)
    assert "&lt;key 5&gt;" in second.text
    assert "Signed in with a password" in second.text
    assert f'href="{ACTIVITY}" rel="prev"' in second.text
    assert not re.search(r"\?before=", second.text)
    assert "Changed the profile" not in first.text + second.text
    assert "Changed the profile" in (await stranger.get(ACTIVITY)).text


@pytest.mark.parametrize("before", ["x", "-1", "9223372036854775808", "1" * 400, "%00"])
async def test_a_hostile_place_in_the_activity_is_refused(anna: httpx.AsyncClient, before: str) -> None:
    assert (await anna.get(f"{ACTIVITY}?before={before}")).status_code == 422


async def test_an_empty_page_of_activity_says_so(anna: httpx.AsyncClient) -> None:
    assert "No activity yet" in (await anna.get(f"{ACTIVITY}?before=0")).text
