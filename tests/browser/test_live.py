"""Pages that follow what agents do, in a real browser."""

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.browser.test_first_visit import sign_up
from tests.fixtures.app import Serve, ServedProduct
from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.browser


@pytest.fixture
async def product(serve: Serve) -> ServedProduct:
    """Of its own: its first account is signed in at once."""
    return await serve()


@pytest.fixture
async def shop_dsn(postgres: PostgresServer, store_template: str) -> str:
    return await postgres.create_database(template=store_template)


async def open_sessions(page: Page, product: ServedProduct, dsn: str) -> tuple[str, httpx.AsyncClient]:
    """A page of sessions that is connected, and an agent of its connection."""
    await sign_up(page)
    person = await product.client()
    for cookie in await page.context.cookies():
        person.cookies.set(cookie["name"], cookie["value"])
    made = await person.post("/api/connections", json={"name": "Lamps", "postgresUrl": dsn})
    connection_id = made.json()["id"]
    agent = await person.post(f"/api/connections/{connection_id}/agents", json={"name": "price-bot", "access": "write"})
    client = await product.client()
    client.headers["authorization"] = f"Bearer {agent.json()['token']}"
    client.base_url = client.base_url.join(f"/api/v/{connection_id}/rest/v1/")
    home = f"/c/{connection_id}"
    return home, client


async def rename(agent: httpx.AsyncClient, number: int, name: str, session: str = "first") -> str:
    answer = await agent.patch(f"lamps?id=eq.{number}", json={"name": name}, headers={"x-basewarden-session": session})
    assert answer.is_success, answer.text
    return str(answer.headers["x-basewarden-session"])


async def test_sessions_appear_while_the_page_is_open(page: Page, product: ServedProduct, shop_dsn: str) -> None:
    home, agent = await open_sessions(page, product, shop_dsn)
    await page.goto(f"{home}/sessions")
    await expect(page.locator("[data-live-connected]")).to_be_attached()
    session = await rename(agent, 1, "Lamp one")
    row = page.locator(f"[data-key='{session}']")
    await expect(row).to_be_visible()
    await expect(page.locator("[data-live-mark]").first).to_be_visible()
    second = await rename(agent, 2, "Lamp two", "second")
    await expect(page.locator(f"[data-key='{second}']")).to_be_visible()
    await expect(page.locator(f"[data-key='{second}']")).to_have_class("is-arriving")


async def test_a_timeline_grows_and_keeps_what_is_open_and_focused(
    page: Page, product: ServedProduct, shop_dsn: str
) -> None:
    home, agent = await open_sessions(page, product, shop_dsn)
    session = await rename(agent, 1, "Lamp one")
    await page.goto(f"{home}/sessions/{session}")
    await expect(page.locator("[data-live-connected]")).to_be_attached()
    opened = page.locator(".entry details").first
    await opened.locator("> summary").click()
    await opened.evaluate("element => { element.dataset.same = 'yes' }")
    await rename(agent, 2, "Lamp two")
    await expect(page.locator(".entry")).to_have_count(2)
    await expect(opened).to_have_attribute("open", "")
    await expect(opened.locator("> summary")).to_be_focused()


async def test_a_hidden_page_gives_its_stream_back(page: Page, product: ServedProduct, shop_dsn: str) -> None:
    home, agent = await open_sessions(page, product, shop_dsn)
    await page.goto(f"{home}/sessions")
    await expect(page.locator("[data-live-connected]")).to_be_attached()
    await set_hidden(page, hidden=True)
    await expect(page.locator("[data-live-connected]")).to_have_count(0)
    session = await rename(agent, 1, "Lamp one")
    await set_hidden(page, hidden=False)
    await expect(page.locator(f"[data-key='{session}']")).to_be_visible()


async def set_hidden(page: Page, *, hidden: bool) -> None:
    await page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', {configurable: true, value: hidden});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )
