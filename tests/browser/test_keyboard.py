"""What people do every day, without a mouse; `test_accessibility.py` walks through every page."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.examine import press, tab_to
from tests.workspace.conftest import Store

pytestmark = pytest.mark.browser


async def test_a_cell_is_edited_and_an_edit_cancelled(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto(store.table("lamps"))
    await page.locator("tbody th").first.focus()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    field = page.get_by_role("textbox", name="name")
    await expect(field).to_be_focused()
    await page.keyboard.press("Escape")
    cell = page.locator("tbody tr").nth(1).locator("td").nth(0)
    await expect(cell).to_be_focused()
    await page.keyboard.press("F2")
    await expect(field).to_be_focused()
    await field.press("Control+A")
    await page.keyboard.type("Night lamp")
    await page.keyboard.press("Tab")
    await expect(cell).to_have_text("Night lamp")  # by Tab alone
    assert await store.ask("select name from lamps where id = 2") == "Night lamp"


async def test_the_palette_goes_to_a_row(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto(store.data)
    await page.keyboard.press("Control+K")
    await page.keyboard.type("reading")
    await expect(page.get_by_role("option", name="Reading lamp")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Reading lamp")).to_be_visible()


async def test_a_row_is_saved_and_its_session_undone(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto(store.table("lamps"))
    await tab_to(page, "Open row 2", most=120)
    await press(page, "Enter")
    await expect(page.get_by_role("heading", name="Desk lamp", level=1)).to_be_visible()
    await tab_to(page, "Edit")
    await press(page, "Enter")
    await expect(page.get_by_label("price", exact=True)).to_be_visible()
    await tab_to(page, "price")
    await press(page, "Control+A")
    await page.keyboard.type("41.50")
    await press(page, "Enter")
    await expect(page.locator("#toasts")).to_contain_text("Price of Desk lamp:")
    assert await store.ask("select price::text from lamps where id = 2") == "41.50"
    await press(page, "g", "s")
    await expect(page.get_by_role("heading", name="Sessions", level=1)).to_be_visible()
    await tab_to(page, "Changed 1 lamp")
    await press(page, "Enter")
    await expect(page).to_have_url(re.compile("/sessions/[^/]+$"))
    await tab_to(page, "Review and undo…")
    await press(page, "Enter")
    await expect(page.get_by_text("Nothing has been changed yet.")).to_be_visible()
    await tab_to(page, "Undo 1 row")
    await press(page, "Enter")
    await expect(page.get_by_role("heading", name="1 row is as it was")).to_be_visible()
    assert await store.ask("select price::text from lamps where id = 2") == "40"
