"""The first steps of a connection watch: each is ticked while the page is open, and without script after a reload."""

import re

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.fixtures.app import ServedProduct
from tests.workspace.conftest import Store

pytestmark = pytest.mark.browser


async def test_the_page_ticks_what_happens(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto(f"/c/{store.connection_id}")
    done = page.locator(".task.is-done")
    await expect(done).to_have_count(1)
    await expect(page.locator("[data-poll]")).to_have_count(0)
    token = await make_agent(store)
    await page.reload()
    await expect(done).to_have_count(2)
    await expect(page.get_by_text("waiting for the first request…")).to_be_visible()
    async with httpx.AsyncClient(base_url=store.owner.base_url, headers={"apikey": token}) as agent:
        lamps = f"/api/v/{store.connection_id}/rest/v1/lamps?id=eq.1"
        assert (await agent.get(lamps)).is_success
        await expect(done).to_have_count(3)
        await expect(page.get_by_text("waiting for the first write…")).to_be_visible()
        written = await agent.patch(lamps, json={"price": 1})
    await expect(done).to_have_count(4)
    session = written.headers["x-basewarden-session"]
    undo = page.locator(".task").get_by_role("link", name="Review and undo…")
    await expect(undo).to_have_attribute("href", re.compile(f"/sessions/{session}/undo$"))
    await expect(page.get_by_text("price-bot is working right now.")).to_be_visible()
    path = f"/api/connections/{store.connection_id}/sessions/{session}/undo"
    assert (await store.owner.post(path, json={"mode": "apply"})).status_code == 200
    await expect(page.get_by_role("heading", name="First steps")).to_have_count(0)
    await expect(page.get_by_role("heading", name="Agents")).to_be_visible()
    await expect(page.locator("[data-poll]")).to_have_count(0)


async def test_without_script_a_reload_ticks_and_the_steps_can_be_dismissed(
    browser: Browser, product: ServedProduct, store: Store, account: dict[str, str]
) -> None:
    async with await browser.new_context(base_url=product.settings.origin, java_script_enabled=False) as context:
        page = await context.new_page()
        assert (await context.request.post("/api/auth/signin", data=account)).ok
        await page.goto(f"/c/{store.connection_id}")
        await make_agent(store)
        await page.reload()
        await expect(page.locator(".task.is-done")).to_have_count(2)
        await page.get_by_role("link", name="Check again").first.click()
        await page.get_by_role("button", name="Hide").click()
        await expect(page.get_by_role("heading", name="First steps")).to_have_count(0)


async def test_the_tabs_of_a_new_connection_work_without_script_and_keep_a_string(
    browser: Browser, product: ServedProduct, store: Store, account: dict[str, str]
) -> None:
    async with await browser.new_context(base_url=product.settings.origin, java_script_enabled=False) as context:
        page = await context.new_page()
        assert (await context.request.post("/api/auth/signin", data=account)).ok
        await page.goto("/connections/new")
        await expect(page.locator("#url")).to_be_hidden()
        await page.get_by_text("Supabase project API", exact=True).click()
        await expect(page.locator("#postgresUrl")).to_be_hidden()
        await page.locator("#name").fill("Shop")
        await page.locator("#url").fill("not an address")
        await page.locator("#key").fill("sb_secret_typed")
        await page.get_by_role("button", name="Connect", exact=True).click()
        await expect(page.locator("#url")).to_have_value("not an address")
        await expect(page.locator("#key")).to_have_value("")
        await expect(page.get_by_text("What you entered is kept")).to_be_visible()
        assert "sb_secret_typed" not in await page.content()


async def make_agent(store: Store) -> str:
    wanted = {"name": "price-bot", "access": "write"}
    made = await store.owner.post(f"/api/connections/{store.connection_id}/agents", json=wanted)
    token: str = made.json()["token"]
    return token
