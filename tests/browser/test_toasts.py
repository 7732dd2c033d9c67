"""Undo within reach: the toast after each kind of write, its button and its keys."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.examine import look_for_violations
from tests.fixtures.everything import make_conflict
from tests.workspace.conftest import Store

pytestmark = pytest.mark.browser


@pytest.fixture
async def grid(signed_in: Page, store: Store) -> Page:
    await signed_in.goto(store.table("lamps"))
    return signed_in


async def edit_price(page: Page, value: str) -> None:
    await page.locator("tbody tr").nth(1).locator("td").nth(4).dblclick()
    field = page.get_by_role("textbox", name="price", exact=True)
    await expect(field).to_be_focused()
    await field.fill(value)
    await field.press("Enter")


async def test_an_edited_cell_is_undone_and_redone_by_keys(grid: Page, store: Store, axe_source: str) -> None:
    toasts = grid.locator("#toasts")
    await edit_price(grid, "41.50")
    await expect(toasts).to_contain_text("Price of Desk lamp:")
    await grid.keyboard.press("Control+z")
    await expect(toasts).to_contain_text("Undone: Price of Desk lamp:", timeout=20_000)
    assert await store.ask("select price::text from lamps where id = 2") == "40"
    await expect(grid.locator("tbody tr").nth(1).locator("td").nth(4)).to_have_text("40")
    await expect(grid).to_have_url(re.compile(r"/data/public\.lamps$"))
    await grid.keyboard.press("Control+Shift+z")
    await expect(toasts).to_contain_text("Redone: Price of Desk lamp:", timeout=20_000)
    assert await store.ask("select price::text from lamps where id = 2") == "41.50"
    await grid.reload()
    await expect(toasts.locator("[data-toast]")).to_have_count(0)


async def test_the_keys_belong_to_a_field_that_has_the_focus(grid: Page, store: Store) -> None:
    await edit_price(grid, "41.50")
    await expect(grid.locator("#toasts")).to_contain_text("Price of Desk lamp:")
    await grid.locator("tbody tr").nth(1).locator("td").nth(0).dblclick()
    field = grid.get_by_role("textbox", name="name", exact=True)
    await field.press_sequentially("x")
    await field.press("Control+z")
    await field.press("Escape")
    await expect(grid.locator("form.cell-form")).to_have_count(0)
    assert await store.ask("select price::text from lamps where id = 2") == "41.50"
    await grid.keyboard.press("Control+z")
    await expect(grid.locator("#toasts")).to_contain_text("Undone", timeout=20_000)


async def test_deleted_rows_come_back(grid: Page, store: Store) -> None:
    await grid.get_by_label("Select row 2", exact=True).check()
    await grid.get_by_label("Select row 3", exact=True).check()
    await grid.get_by_role("button", name="Delete…").click()
    await grid.get_by_role("button", name="Delete 2 rows").click()
    await expect(grid.locator("#toasts")).to_contain_text("2 rows deleted")
    await expect(grid.locator("tbody tr")).to_have_count(1)
    await grid.locator("#toasts").get_by_role("button", name="Undo").click()
    await expect(grid.locator("tbody tr")).to_have_count(3, timeout=20_000)
    assert await store.ask("select count(*) from lamps") == 3


async def test_an_added_row_is_removed_from_its_page(grid: Page, store: Store) -> None:
    await grid.goto(f"{store.table('lamps')}/+new")
    await grid.get_by_label("name", exact=True).fill("<b>Torch</b>")
    await grid.get_by_text("Optional").click()
    await grid.get_by_label("shade", exact=True).select_option("dark")
    await grid.get_by_role("button", name="Add row").click()
    await expect(grid.locator("#toasts")).to_contain_text("<b>Torch</b> added")
    await grid.keyboard.press("Control+z")
    await expect(grid.locator("#toasts")).to_contain_text("<b>Torch</b> is removed again", timeout=20_000)
    await expect(grid).to_have_url(re.compile(r"/data/public\.lamps$"))
    assert await store.ask("select count(*) from lamps") == 3


async def test_a_saved_row_and_a_newer_edit(grid: Page, store: Store) -> None:
    await grid.goto(store.row("lamps", "2"))
    await grid.keyboard.press("e")
    await grid.get_by_label("price", exact=True).fill("41.50")
    await grid.get_by_role("button", name="Save").click()
    await expect(grid.locator("#toasts")).to_contain_text("Price of Desk lamp:")
    await store.behind.execute("update lamps set price = 50 where id = 2")
    await grid.keyboard.press("Control+z")
    await expect(grid.get_by_role("heading", name="1 conflict")).to_be_visible(timeout=20_000)
    await expect(grid).to_have_url(re.compile(r"/undo\?write="))
    assert await store.ask("select price::text from lamps where id = 2") == "50"


async def test_the_preview_and_the_receipt_are_accessible_and_fit(grid: Page, store: Store, axe_source: str) -> None:
    session = await make_conflict(store)
    await grid.goto(f"/c/{store.connection_id}/sessions/{session}/undo")
    await expect(grid.get_by_role("heading", name="Undo 2 rows, keep 1 newer edit")).to_be_visible()
    await grid.get_by_role("radio", name="Keep").focus()
    await grid.keyboard.press("ArrowRight")
    await expect(grid.get_by_role("heading", name="Undo 3 rows", exact=True)).to_be_visible()
    await expect(grid.get_by_role("button", name="Undo 3 rows")).to_be_visible()
    await grid.get_by_role("button", name="Keep all").click()
    await expect(grid.get_by_role("heading", name="Undo 2 rows, keep 1 newer edit")).to_be_visible()
    await grid.get_by_role("button", name="Restore all").click()
    await expect(grid.get_by_role("heading", name="Undo 3 rows", exact=True)).to_be_visible()
    await grid.get_by_text("Keep", exact=True).click()
    await expect(grid.get_by_role("heading", name="Undo 2 rows, keep 1 newer edit")).to_be_visible()
    await grid.keyboard.press("Tab")
    await grid.get_by_role("button", name="Undo 2 rows").press("Enter")
    await expect(grid.get_by_text("1 row keeps a newer edit.")).to_be_visible()
    assert await look_for_violations(grid, axe_source) == []
    await grid.goto(store.table("lamps"))
    await edit_price(grid, "77")
    toast = "#toasts [data-toast]"
    await expect(grid.locator(toast)).to_be_visible()
    assert await look_for_violations(grid, axe_source, toast) == []
