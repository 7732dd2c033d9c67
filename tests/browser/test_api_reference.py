"""The API reference: its search field, and the same page without script."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.fixtures.app import ServedProduct

pytestmark = pytest.mark.browser


async def test_the_search_field_filters_operations_as_one_types(page: Page) -> None:
    await page.goto("/docs/api")
    search = page.get_by_role("searchbox", name="Find an operation")
    undo = page.get_by_role("article", name="undo")
    await expect(page.get_by_role("heading", name="Billing", exact=True)).to_be_visible()
    await search.fill("post undo")
    await expect(undo).to_be_visible()
    await expect(page.get_by_role("status").filter(has_text="1 operation")).to_be_visible()
    await expect(page.get_by_role("heading", name="Billing", exact=True)).to_be_hidden()
    await expect(page.get_by_role("navigation", name="On this page").get_by_role("link", name="…/undo")).to_have_count(
        1
    )
    await search.fill("nothing has this")
    await expect(page.get_by_text("0 operations")).to_be_visible()
    await search.fill("")
    await expect(page.get_by_role("heading", name="Billing", exact=True)).to_be_visible()


async def test_without_script_the_page_is_a_plain_list(browser: Browser, product: ServedProduct) -> None:
    async with await browser.new_context(base_url=product.settings.origin, java_script_enabled=False) as context:
        page = await context.new_page()
        await page.goto("/docs/api")
        await expect(page.locator("#api-search")).to_be_hidden()
        assert await page.locator("article").count() > 50


@pytest.mark.parametrize("width", [1280, 390])
async def test_nothing_is_wider_than_the_window(page: Page, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 844})
    await page.goto("/docs/api")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
