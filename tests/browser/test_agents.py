"""Creates an agent in a real browser, by keyboard alone, and by a form that came back."""

import re
from typing import Any

import httpx
import psycopg
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.examine import list_found, look_for_violations, press, tab_to, walk_by_keyboard
from tests.fixtures.app import PASSWORD, ServedProduct
from tests.workspace.conftest import Store

pytestmark = pytest.mark.browser


async def test_an_agent_is_created_by_keyboard_alone_and_its_first_request_is_noticed(
    signed_in: Page, store: Store, product: ServedProduct
) -> None:
    page = signed_in
    await page.goto(f"/c/{store.connection_id}/agents")
    await tab_to(page, "New agent")
    await press(page, "Enter")
    dialog = page.get_by_role("dialog", name="New agent")
    name = dialog.get_by_label("Name", exact=True)
    await expect(name).to_be_focused()
    await press(page, "Tab", "Tab", "Tab", "Enter")  # past Read-only analyst and Support desk: Content editor
    await expect(name).to_have_value("content-editor")
    await expect(name).to_be_focused()
    await name.fill("lamp-bot")
    await press(page, "Enter")
    await expect(dialog.get_by_label("Only these tables")).to_be_checked()
    await tab_to(page, "Select all")
    await press(page, "Shift+Tab")
    await page.keyboard.type("lam")
    await expect(dialog.get_by_label("bulbs", exact=True)).to_be_hidden()
    await tab_to(page, "lamps")
    await press(page, "Space")
    await expect(dialog.get_by_text(re.compile(r"1 of \d+ selected"))).to_be_visible()
    access = dialog.get_by_label("Access to lamps")
    await press(page, "Tab")
    await expect(access).to_be_focused()
    await press(page, "ArrowDown")
    await expect(access).to_have_value("public.lamps")
    await press(page, "ArrowUp")
    await expect(access).to_have_value("")
    await tab_to(page, "Next")
    await press(page, "Enter")
    await expect(dialog.get_by_text("lamp-bot will be able to do this")).to_be_visible()
    await expect(dialog.get_by_text("Reads and writes lamps.")).to_be_visible()
    await tab_to(page, "Create agent")
    await press(page, "Enter")
    await expect(page.get_by_role("heading", name="“lamp-bot” is ready")).to_be_visible()
    await expect(page.get_by_text("Waiting for the first request…")).to_be_visible()
    token = await page.locator("#token").text_content() or ""
    async with httpx.AsyncClient(base_url=product.settings.origin, headers={"apikey": token}) as agent:
        answer = await agent.get(f"/api/v/{store.connection_id}/rest/v1/lamps?select=id")
        assert answer.status_code == 200, answer.text
    await expect(page.get_by_text("The first request has arrived.")).to_be_visible()
    await page.get_by_role("link", name="Open agent").click()
    assert token.startswith("bwa_")
    assert token not in await page.content()
    await page.goto(f"/c/{store.connection_id}/agents")
    await tab_to(page, "lamp-bot")
    await press(page, "Tab", "Tab", "Enter", "Tab", "Tab", "Tab", "Tab")  # its menu: pause, edit, copy, revoke
    await expect(page.get_by_role("link", name="Revoke…")).to_be_focused()
    await press(page, "Escape")
    await expect(page.get_by_role("link", name="Revoke…")).to_be_hidden()


async def test_next_asks_for_what_is_missing_and_an_error_opens_its_step(
    signed_in: Page, store: Store, axe_source: str
) -> None:
    page = signed_in
    await page.goto(f"/c/{store.connection_id}/agents/new?template=editor")
    await page.get_by_label("Name", exact=True).fill("")
    await page.get_by_role("button", name="Next").click()
    await expect(page.get_by_label("Name", exact=True)).to_be_focused()
    await page.get_by_label("Name", exact=True).fill("lamp-bot")
    await page.get_by_role("button", name="Next").click()
    await page.get_by_role("button", name="Next").click()
    await expect(page.get_by_role("alert")).to_have_text("Choose at least one table, or select “Every table”.")
    await expect(page.get_by_role("searchbox", name="Filter by name")).to_be_focused()
    await page.get_by_text("Other tables").click()
    await page.get_by_label("Names").fill("nosuchtable")
    await expect(page.get_by_role("alert")).to_have_count(0)
    await page.get_by_role("button", name="Next").click()
    await page.get_by_label("Rows per write").fill("12")
    await page.get_by_role("button", name="Create agent").click()
    await expect(page.get_by_role("alert")).to_contain_text("The project has no table named: public.nosuchtable.")
    await expect(page.get_by_label("Names")).to_have_value("nosuchtable")
    await expect(page.get_by_label("Rows per write")).to_be_hidden()
    assert await look_for_violations(page, axe_source) == []
    await page.get_by_label("Names").fill("")
    await page.get_by_label("lamps", exact=True).check()
    await page.get_by_role("button", name="Next").click()
    await expect(page.get_by_label("Rows per write")).to_have_value("12")
    await page.get_by_role("button", name="Create agent").click()
    await expect(page.get_by_role("heading", name="“lamp-bot” is ready")).to_be_visible()


async def test_an_agent_is_edited_on_one_page_that_says_what_saving_changes(
    signed_in: Page, store: Store, axe_source: str
) -> None:
    page = signed_in
    wanted = {"name": "lamp-bot", "access": "write", "maxRowsPerWrite": 1000}
    made = (await store.owner.post(f"/api/connections/{store.connection_id}/agents", json=wanted)).json()
    await page.goto(f"/c/{store.connection_id}/agents/{made['id']}/edit")
    save = page.get_by_role("button", name="Save changes")
    for part in ("What it is called", "Limits"):
        await expect(page.get_by_role("group", name=part, exact=True)).to_be_visible()
    rows = page.get_by_label("Rows per write")
    await expect(rows).to_be_visible()
    await expect(page.get_by_text("Nothing is changed yet.")).to_be_visible()
    await expect(save).to_be_disabled()
    await rows.fill("12")
    await expect(page.get_by_role("status").filter(has_text="Rows per write")).to_contain_text("1,000")
    await expect(save).to_be_enabled()
    await page.evaluate("scrollTo(0, 0)")  # nothing is half under the bar at the top
    assert await look_for_violations(page, axe_source) == []
    for width in (1280, 390):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await walk_by_keyboard(page) == []  # nothing is behind the bar that saves
    await rows.fill("1000")
    await expect(page.get_by_text("Nothing is changed yet.")).to_be_visible()
    await expect(save).to_be_disabled()
    await page.get_by_text("Only these tables").click()
    await page.get_by_label("lamps", exact=True).check()
    await expect(page.locator(".form-changes")).to_contain_text("every table")
    await save.click()
    await expect(page.get_by_text("Saved. The changes apply from the agent's next request on.")).to_be_visible()
    (agent,) = (await store.owner.get(f"/api/connections/{store.connection_id}/agents")).json()["agents"]
    assert (agent["tables"], agent["maxRowsPerWrite"]) == (["public.lamps"], 1000)


async def test_every_table_leaves_ticked_boxes_out(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto(f"/c/{store.connection_id}/agents/new?template=editor")
    await page.get_by_role("button", name="Next").click()
    await page.get_by_role("button", name="Select all").click()
    await page.get_by_label("Every table").check()
    await expect(page.get_by_role("button", name="Select all")).to_be_hidden()
    await page.get_by_role("button", name="Next").click()
    await expect(page.get_by_text("Reads and writes every table.")).to_be_visible()
    await page.get_by_role("button", name="Create agent").click()
    await expect(page.get_by_role("heading", name="“content-editor” is ready")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("nothing was done the second time")).to_be_visible()
    (agent,) = (await store.owner.get(f"/api/connections/{store.connection_id}/agents")).json()["agents"]
    assert agent["tables"] is None


async def test_an_agent_is_created_without_script(
    browser: Browser, product: ServedProduct, store: Store, account: dict[str, str]
) -> None:
    options: Any = {"base_url": product.settings.origin, "java_script_enabled": False}
    async with await browser.new_context(**options) as context:
        assert (await context.request.post("/api/auth/signin", data=account)).ok
        page = await context.new_page()
        await page.goto(f"/c/{store.connection_id}/agents")
        await page.get_by_role("link", name="New agent").first.click()
        await page.get_by_role("link", name="Support desk").click()
        await expect(page.get_by_role("button", name="Next")).to_be_hidden()
        await page.get_by_label("lamps", exact=True).check()
        await page.get_by_label("Rows per write").fill("9")
        await page.get_by_role("button", name="Create agent").click()
        await expect(page.get_by_role("heading", name="“support-desk” is ready")).to_be_visible()
        await page.goto(f"/c/{store.connection_id}/agents")
        await page.get_by_role("button", name="Actions for support-desk").click()
        await page.get_by_role("link", name="New agent like this").click()
        await expect(page.get_by_label("Rows per write")).to_have_value("9")
    (agent,) = (await store.owner.get(f"/api/connections/{store.connection_id}/agents")).json()["agents"]
    assert (agent["tables"], agent["maxRowsPerWrite"], agent["access"]) == (["public.lamps"], 9, "propose")


async def test_the_dialog_and_the_token_page_are_accessible(signed_in: Page, store: Store, axe_source: str) -> None:
    page = signed_in
    found: dict[str, list[str]] = {}
    await page.goto(f"/c/{store.connection_id}/agents")
    await page.get_by_role("link", name="New agent").first.click()
    dialog = page.get_by_role("dialog", name="New agent")
    await dialog.get_by_role("link", name="Content editor").click()
    found["name"] = await look_for_violations(page, axe_source)
    heights = [await measure_height(dialog)]
    await dialog.get_by_role("button", name="Next").click()
    await dialog.get_by_label("lamps", exact=True).check()
    found["tables"] = await look_for_violations(page, axe_source)
    heights.append(await measure_height(dialog))
    await dialog.get_by_role("button", name="Next").click()
    await expect(dialog.get_by_text("will be able to do this")).to_be_visible()
    await dialog.get_by_text("On a date").click()
    await dialog.get_by_label("Last day").fill("2100-01-31")
    await expect(dialog.get_by_text("The token works until 31 January 2100.")).to_be_visible()
    found["limits"] = await look_for_violations(page, axe_source)
    heights.append(await measure_height(dialog))
    assert heights == heights[:1] * 3
    await dialog.get_by_role("button", name="Create agent").click()
    await expect(page.locator("#token")).to_be_visible()
    found["token"] = await look_for_violations(page, axe_source)
    assert list_found(found) == {}


async def measure_height(dialog: Locator) -> float:
    box = await dialog.bounding_box()
    assert box is not None
    return box["height"]


async def test_a_stale_sign_in_is_confirmed_in_the_dialog(
    signed_in: Page, store: Store, product: ServedProduct, account: dict[str, str], axe_source: str
) -> None:
    await age_signins(product, account["email"])  # the browser's is not seen by the product yet
    page = signed_in
    await page.goto(f"/c/{store.connection_id}/agents")
    await page.get_by_role("link", name="New agent").first.click()
    dialog = page.get_by_role("dialog", name="New agent")
    await dialog.get_by_label("Name", exact=True).fill("lamp-bot")
    await dialog.get_by_role("button", name="Next").click()
    await dialog.get_by_role("button", name="Next").click()
    await expect(dialog.get_by_text("lamp-bot will be able to do this")).to_be_visible()
    await expect(dialog.get_by_text("You signed in more than 10 minutes ago.")).to_be_visible()
    assert await look_for_violations(page, axe_source) == []
    await dialog.get_by_label("Your password").fill("a wrong guess")
    await dialog.get_by_role("button", name="Create agent").click()
    await expect(page.get_by_label("Your password")).to_be_focused()
    await page.get_by_label("Your password").fill(PASSWORD)
    await page.get_by_role("button", name="Create agent").click()
    await expect(page.get_by_role("heading", name="“lamp-bot” is ready")).to_be_visible()


async def age_signins(product: ServedProduct, email: str) -> None:
    query = """UPDATE signin_sessions SET authenticated_at = now() - interval '11 minutes'
        WHERE user_id = (SELECT id FROM users WHERE email = %s)"""
    async with await psycopg.AsyncConnection.connect(product.settings.database_url.reveal()) as connection:
        await connection.execute(query, (email,))


async def test_settings_are_saved_only_where_something_changed(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto(f"/c/{store.connection_id}/settings")
    card = page.get_by_role("region", name="Name and environment")
    save = card.get_by_role("button", name="Save")
    await expect(save).to_be_disabled()
    await card.get_by_label("Name").fill("Lamps")
    await expect(save).to_be_enabled()
    await card.get_by_label("Name").fill("Store")
    await expect(save).to_be_disabled()
    await card.get_by_text("Staging").click()
    await save.click()
    await expect(page.get_by_text("Name and environment saved.")).to_be_visible()


async def test_a_connection_without_a_name_is_called_like_its_database(signed_in: Page) -> None:
    page = signed_in
    await page.goto("/connections/new")
    name, address = (
        page.get_by_role("textbox", name="Name", exact=True),
        page.get_by_label("Connection string", exact=True),
    )
    for typed, expected in (
        ("postgresql://me:s3cret@db.example.com:5432/shop%20one", "shop one"),
        (
            "postgresql://postgres.abcdefghijklmnopqrst:s3cret@aws-0-eu.pooler.supabase.com:6543/postgres",
            "abcdefghijklmnopqrst",
        ),
        ("postgres://me:s3cret@db.example.com/postgres", "db.example.com"),
        ("not an address", "db.example.com"),
    ):
        await address.fill(typed)
        await address.blur()
        await expect(name).to_have_value(expected)
    await name.fill("Mine")
    await address.fill("postgresql://me@db.example.com/other")
    await address.blur()
    await expect(name).to_have_value("Mine")
