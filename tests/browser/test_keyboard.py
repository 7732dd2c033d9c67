"""The grid and the palette without a mouse."""

import pytest
from playwright.async_api import Page, expect

from tests.fixtures.app import PASSWORD
from tests.workspace.conftest import Store

pytestmark = pytest.mark.browser


@pytest.fixture
async def signed_in(page: Page, store: Store) -> Page:
    await page.context.request.post("/api/auth/signin", data={"email": "owner@example.com", "password": PASSWORD})
    return page


async def test_a_cell_is_edited_and_an_edit_cancelled(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto(store.table("lamps"))
    await page.locator("tbody th").first.focus()
    for _ in range(2):
        await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    field = page.get_by_role("textbox", name="name")
    await expect(field).to_be_focused()
    await page.keyboard.press("Escape")
    cell = page.locator("tbody tr").nth(1).locator("td").nth(1)
    await expect(cell).to_be_focused()
    await page.keyboard.press("F2")
    await expect(field).to_be_focused()
    await field.press("Control+A")
    await page.keyboard.type("Night lamp")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(cell).to_have_text("Night lamp")
    assert await store.ask("select name from lamps where id = 2") == "Night lamp"


async def test_the_palette_goes_to_a_row(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto(store.data)
    await page.keyboard.press("Control+K")
    await page.keyboard.type("reading")
    await expect(page.get_by_role("option", name="Reading lamp")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Reading lamp")).to_be_visible()


async def test_the_skip_link_comes_first(signed_in: Page, store: Store) -> None:
    await signed_in.goto(store.data)
    await signed_in.keyboard.press("Tab")
    await expect(signed_in.get_by_role("link", name="Skip to the content")).to_be_focused()
