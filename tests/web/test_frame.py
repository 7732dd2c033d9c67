"""A signed-in person keeps the frame of their pages on open pages and on errors; a stranger gets none of it."""

import re
from uuid import uuid4

import httpx
import pytest
from pyotp import TOTP

from tests.fixtures.app import PASSWORD, ProjectDatabase, ServedProduct

SHELL, PLAIN = 'class="shell"', 'class="plain"'
OPEN_PAGES = ("/status", "/contact", "/nothing", "/nothing/there")
HOSTILE = 'Shop "><script>alert(1)</script>'


def frame_of(page: httpx.Response) -> list[str]:
    return [frame for frame in (SHELL, PLAIN) if frame in page.text]


def without_ids(text: str) -> str:
    return re.sub(r"[0-9a-f]{16}|[0-9a-f-]{36}", "#", text)


async def test_open_pages_keep_the_frame(client: httpx.AsyncClient, owner: httpx.AsyncClient) -> None:
    for path in OPEN_PAGES:
        assert frame_of(await client.get(path)) == [PLAIN], path
        mine = await owner.get(path)
        assert frame_of(mine) == [SHELL], path
        assert "owner@example.com" in mine.text


async def test_a_bad_sign_in_is_a_stranger(product: ServedProduct, owner: httpx.AsyncClient) -> None:
    client = await product.client()
    for headers in (
        {"cookie": "authjs.session-token=nonsense"},
        {"cookie": f"authjs.session-token={owner.cookies['authjs.session-token']}", "authorization": "Bearer x"},
        {"cookie": f"authjs.session-token={owner.cookies['authjs.session-token']}", "apikey": "x"},
    ):
        for path in OPEN_PAGES:
            page = await client.get(path, headers=headers)
            assert frame_of(page) == [PLAIN], (path, headers)
            assert "owner@example.com" not in page.text


async def test_an_error_inside_a_connection_leads_back_to_it(owner: httpx.AsyncClient, connection_id: str) -> None:
    for path in ("/nothing", "/sessions/nothing", f"/sessions/{uuid4()}", f"/agents/{uuid4()}/revoke"):
        page = await owner.get(f"/c/{connection_id}{path}")
        assert page.status_code == 404
        assert frame_of(page) == [SHELL]
        assert "Back to Shop" in page.text
        assert f'href="/c/{connection_id}/sessions"' in page.text


async def test_a_refusal_reveals_nothing_to_a_stranger(stranger: httpx.AsyncClient, connection_id: str) -> None:
    """Another person's connection and one that does not exist are one page, apart from the ids."""
    for path in ("", "/nothing", "/sessions", "/settings"):
        theirs = await stranger.get(f"/c/{connection_id}{path}")
        none = await stranger.get(f"/c/{uuid4()}{path}")
        assert (theirs.status_code, frame_of(theirs)) == (404, [SHELL])
        assert "Shop" not in theirs.text
        assert without_ids(theirs.text) == without_ids(none.text)


async def test_pages_of_no_connection_keep_the_one_that_was_opened_last(
    owner: httpx.AsyncClient, stranger: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    made = await owner.post("/api/connections", json={"name": "Other", "postgresUrl": project.dsn})
    rooms = f'href="/c/{connection_id}/sessions"'
    paths = ("/docs", "/docs/guide", "/status", "/contact", "/shortcuts", "/nothing", "/settings/account")
    for path in paths:
        assert rooms not in (await owner.get(path)).text, path
    opened = await owner.get(f"/c/{connection_id}/agents")
    assert opened.headers["set-cookie"] == f"basewarden.connection={connection_id}; HttpOnly; Path=/; SameSite=lax"
    assert "set-cookie" not in (await owner.get(f"/c/{connection_id}/agents")).headers
    for path in paths:
        page = (await owner.get(path)).text
        assert (rooms in page) is not path.startswith("/docs"), path
        assert f'href="/c/{connection_id}"' in page, path
    assert rooms not in (await owner.get("/connections")).text
    await owner.get(f"/c/{made.json()['id']}")
    assert rooms not in (await owner.get("/status")).text
    for remembered in (connection_id, str(uuid4()), "nonsense", '"><script>'):
        cookies = f"{join_cookies(stranger)}; basewarden.connection={remembered}"
        theirs = await stranger.get("/status", headers={"cookie": cookies})
        assert frame_of(theirs) == [SHELL], remembered
        assert "/c/" not in theirs.text, remembered


def join_cookies(client: httpx.AsyncClient) -> str:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)


async def test_re_authentication_keeps_the_connection(
    product: ServedProduct, owner: httpx.AsyncClient, stranger: httpx.AsyncClient, connection_id: str
) -> None:
    for person, is_theirs in ((owner, True), (stranger, False)):
        page = await person.get("/settings/account/data", params={"next": f"/c/{connection_id}/settings"})
        assert page.status_code == 200
        assert ("Shop" in page.text) is is_theirs


async def test_a_field_that_is_not_valid_is_named(owner: httpx.AsyncClient) -> None:
    page = await owner.get("/search", params={"q": "<b>long</b>" * 20})
    assert (page.status_code, frame_of(page)) == (422, [SHELL])
    assert '<dt class="data">q</dt>' in page.text
    assert "<b>long" not in page.text


async def test_a_hostile_name_is_only_text(owner: httpx.AsyncClient, project: ProjectDatabase) -> None:
    made = await owner.post("/api/connections", json={"name": HOSTILE, "postgresUrl": project.dsn})
    for path in ("/status", "/nothing", f"/c/{made.json()['id']}/nothing"):
        page = await owner.get(path)
        assert "<script>alert" not in page.text
        assert "Shop &#34;&gt;&lt;script&gt;" in page.text


async def test_half_a_sign_in_is_a_stranger(product: ServedProduct, owner: httpx.AsyncClient) -> None:
    """While the second factor is missing, no page shows whose sign-in it is."""
    secret = (await owner.post("/api/account/2fa/setup")).json()["secret"]
    code = TOTP(secret).now()
    assert (await owner.post("/api/account/2fa/enable", json={"secret": secret, "code": code})).is_success
    client = await product.client()
    account = {"email": "owner@example.com", "password": PASSWORD}
    assert (await client.post("/api/auth/signin", json=account)).json()["mfaRequired"]
    for path in OPEN_PAGES:
        page = await client.get(path)
        assert frame_of(page) == [PLAIN]
        assert "owner@example.com" not in page.text


@pytest.mark.parametrize("signed_in", [True, False])
async def test_an_unknown_page_offers_where_to_go(
    client: httpx.AsyncClient, owner: httpx.AsyncClient, signed_in: bool
) -> None:
    page = await (owner if signed_in else client).get("/nothing")
    assert page.status_code == 404
    places = (
        ("/connections", "/search?q=nothing") if signed_in else ("/", "/signin", "/docs/search?q=nothing", "/contact")
    )
    assert "There is no page at /nothing." in page.text
    content = page.text.partition("<main")[2].partition("</main>")[0]
    for place in places:
        assert f'href="{place}"' in content


async def test_below_the_docs_an_unknown_page_offers_their_search(owner: httpx.AsyncClient) -> None:
    page = await owner.get("/docs/undoo")
    assert page.status_code == 404
    assert 'href="/docs/search?q=undoo"' in page.text
    assert "/search?q=undoo&" not in page.text


async def test_the_address_of_a_form_leads_to_the_page_that_has_it(
    owner: httpx.AsyncClient, connection_id: str
) -> None:
    home = f"/c/{connection_id}"
    for form, page in (
        (f"{home}/members/invitations", f"{home}/members"),
        (f"{home}/members/invitations/x/resend", f"{home}/members"),
        (f"{home}/sentry/leaks/text", f"{home}/sentry/leaks"),
        ("/signout", "/"),
    ):
        opened = await owner.get(form)
        assert (opened.status_code, opened.headers["location"]) == (303, page)
    assert (await owner.delete(f"{home}/members")).status_code == 405


async def test_signing_in_on_the_way_to_a_page_says_so(client: httpx.AsyncClient) -> None:
    assert "Sign in to open that page" in (await client.get("/signin?next=/connections/new")).text
    assert "Sign in to open that page" not in (await client.get("/signin")).text
    wrong = await client.post("/signin", data={"email": "a@example.com", "password": "x", "next": "/connections/new"})
    assert "Sign in to open that page" not in wrong.text


async def test_the_rule_of_approvals_is_one_of_the_settings(owner: httpx.AsyncClient, connection_id: str) -> None:
    page = (await owner.get(f"/c/{connection_id}/members/approvals")).text
    crumbs = page.partition('class="breadcrumb"')[2].partition("</nav>")[0]
    assert f'href="/c/{connection_id}/settings"' in crumbs
    assert f'href="/c/{connection_id}/members"' not in crumbs


async def test_a_search_for_tables_says_of_how_many(owner: httpx.AsyncClient, connection_id: str) -> None:
    page = (await owner.get(f"/c/{connection_id}/data?q=zebra")).text
    found = re.search(r"0 of (\d+) tables? ", page)
    assert found is not None
    assert int(found[1]) > 0
