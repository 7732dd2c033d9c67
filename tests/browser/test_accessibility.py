"""axe-core finds nothing on any page, by day and by night, wide and narrow."""

from typing import Any, Literal

import httpx
import pytest
from playwright.async_api import Browser, Page
from pyotp import TOTP

from basewarden.journal import RefusalLog
from tests.fixtures.app import PASSWORD, ServedProduct
from tests.workspace.conftest import Store

pytestmark = pytest.mark.browser

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""the rules that may find something by night and nothing by day: the themes differ in colours alone"""
OPEN_PAGES = (
    "/",
    "/signin",
    "/signup",
    "/forgot",
    "/reset/made-up",
    "/verify-email/made-up",
    "/docs",
    "/docs/api",
    "/docs/api/sessions",
    "/docs/guide",
    "/docs/errors",
    "/docs/search?q=undo",
    "/status",
    "/contact",
    "/shortcuts",
    "/nothing",
)
SETTINGS = "/settings/account"
ACCOUNT_PAGES = (
    SETTINGS,
    *(f"{SETTINGS}/{room}" for room in ("2fa", "passkeys", "sessions", "activity", "data", "delete", "confirm")),
    "/settings/billing",
)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_no_page_shuts_anybody_out(
    browser: Browser, product: ServedProduct, store: Store, axe_source: str, theme: Literal["light", "dark"], width: int
) -> None:
    session, agent = await make_session(store, product)
    async with await browser.new_context(
        base_url=product.settings.origin,
        bypass_csp=True,
        color_scheme=theme,
        viewport={"width": width, "height": 844},
    ) as context:
        page = await context.new_page()
        found = {path: await find_violations(page, path, axe_source) for path in OPEN_PAGES}
        account = {"email": "owner@example.com", "password": PASSWORD}
        assert (await context.request.post("/api/auth/signin", data=account)).ok
        found |= {path: await find_violations(page, path, axe_source) for path in list_pages(store, session, agent)}
    assert {path: problems for path, problems in found.items() if problems} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_no_page_of_the_account_does(
    browser: Browser, product: ServedProduct, axe_source: str, theme: Literal["light", "dark"], width: int
) -> None:
    """Before, while and after the second factor is set up, and half way in."""
    account = {"email": "owner@example.com", "password": PASSWORD}
    await product.sign_up(account["email"])
    options: Any = {"base_url": product.settings.origin, "bypass_csp": True, "color_scheme": theme}
    found: dict[str, list[str]] = {}
    async with await browser.new_context(**options, viewport={"width": width, "height": 844}) as context:
        page = await context.new_page()
        assert (await context.request.post("/api/auth/signin", data=account)).ok
        found |= {path: await find_violations(page, path, axe_source) for path in ACCOUNT_PAGES}
        await page.goto(f"{SETTINGS}/2fa")
        await page.get_by_role("button", name="Set up").click()
        await page.get_by_role("heading", name="Set up two-factor authentication").wait_for()
        found["setting up"] = await look_for_violations(page, axe_source)
        secret = await page.locator("input[name=secret]").get_attribute("value")
        await page.get_by_label("Code", exact=True).fill(TOTP(secret or "").now())
        await page.get_by_role("button", name="Turn on").click()
        await page.get_by_role("heading", name="Save these ten recovery codes").wait_for()
        found["the codes"] = await look_for_violations(page, axe_source)
        found["2fa on"] = await find_violations(page, f"{SETTINGS}/2fa", axe_source)
    async with await browser.new_context(**options, viewport={"width": width, "height": 844}) as context:
        page = await context.new_page()
        assert (await context.request.post("/api/auth/signin", data=account)).ok
        found["half way"] = await find_violations(page, "/signin/2fa", axe_source)
        assert page.url.endswith("/signin/2fa")
    assert {path: problems for path, problems in found.items() if problems} == {}


async def make_session(store: Store, product: ServedProduct) -> tuple[str, str]:
    """Something for the history and the sessions to show: a frozen session and its agent; names as short as may be."""
    address = f"/api/v/{store.connection_id}/rest/v1/lamps?id=eq.1"
    answer = await store.owner.patch(address, json={"price": 1, "note": None}, headers={"x-basewarden-session": "i"})
    connection = f"/api/connections/{store.connection_id}"
    assert (await store.owner.patch(connection, json={"name": "i"})).is_success
    wanted = {"name": "i", "access": "write", "maxWritesPerSession": 1}
    made = (await store.owner.post(f"{connection}/agents", json=wanted)).json()
    assert answer.is_success
    session = await freeze_session(store, address, made["token"])
    await product.registry.get(RefusalLog).flush()
    return session, made["id"]


async def freeze_session(store: Store, address: str, token: str) -> str:
    async with httpx.AsyncClient(base_url=store.owner.base_url, headers={"apikey": token}) as agent:
        answer = await agent.patch(address, json={"price": 2})
        assert (await agent.patch(address, json={"price": 3})).json()["code"] == "session_frozen"
    return str(answer.headers["x-basewarden-session"])


def list_pages(store: Store, session: str, agent: str) -> list[str]:
    home = f"/c/{store.connection_id}"
    lamps = store.table("lamps")
    return [
        *(f"{home}/agents{path}" for path in ("", "/new", "/new?template=editor", f"/{agent}", f"/{agent}/revoke")),
        f"{home}/refusals?agent={agent}",
        "/connections",
        "/connections/new",
        *("/status", "/contact", "/shortcuts", "/nothing"),
        f"/search?in={store.connection_id}&q=lamp",
        home,
        store.data,
        f"{store.data}?q=zebra",
        lamps,
        f"{lamps}?column=price&operator=gt&value=much&sort=name",
        f"{lamps}/+new",
        f"{lamps}/+delete?key=1",
        store.row("lamps", "1"),
        store.row("lamps", "99"),
        store.table("cheap"),
        f"{home}/refusals",
        "/settings/account/data",
        f"{home}/sessions",
        f"{home}/sessions?status=frozen",
        f"{home}/sessions/{session}",
        f"{home}/sessions/{session}/undo",
        f"{home}/settings",
        f"{home}/delete",
    ]


async def find_violations(page: Page, path: str, axe_source: str) -> list[str]:
    await page.goto(path)
    return await look_for_violations(page, axe_source)


async def look_for_violations(page: Page, axe_source: str) -> list[str]:
    """Of the page as it is once its styles have come."""
    await page.wait_for_load_state("load")
    await page.evaluate(axe_source)
    is_dark = await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    chosen = {"type": "rule", "values": OF_COLOURS} if is_dark else {"type": "tag", "values": RULES}
    options: dict[str, Any] = {"runOnly": chosen}
    report = await page.evaluate("options => axe.run(document, options)", options)
    return [f"{item['id']}: {node['html']}" for item in report["violations"] for node in item["nodes"]]
