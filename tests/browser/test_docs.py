"""The docs in a browser: the search as one types, the headings in view, examples by language, and all of it without script."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.fixtures.app import ServedProduct

pytestmark = pytest.mark.browser


async def test_the_search_field_filters_operations_as_one_types(page: Page) -> None:
    await page.goto("/docs/api")
    search = page.get_by_role("searchbox", name="Find an operation")
    release = page.locator("#api-operations").get_by_role("link", name="/sessions/{session_id}/release")
    await expect(page.get_by_role("heading", name="Billing", exact=True)).to_be_visible()
    await search.fill("post /sessions/ /release")
    await expect(release).to_be_visible()
    await expect(page.get_by_role("status").filter(has_text="1 operation")).to_be_visible()
    await expect(page.get_by_role("heading", name="Billing", exact=True)).to_be_hidden()
    await search.fill("nothing has this")
    await expect(page.get_by_text("0 operations")).to_be_visible()
    await search.fill("")
    await expect(page.get_by_role("heading", name="Billing", exact=True)).to_be_visible()
    await release.click()
    await expect(page).to_have_url("/docs/api/sessions#post-api-connections-connection-id-sessions-session-id-release")


async def test_the_search_of_the_docs_works_by_keyboard_alone(page: Page) -> None:
    await page.goto("/docs/guide")
    await page.keyboard.press("/")
    await page.keyboard.type("settings BASEWARDEN_ORIGIN")
    hit = page.locator("#docs-found").get_by_role("link", name="BASEWARDEN_ORIGIN").first
    await expect(hit).to_be_visible()
    await page.wait_for_load_state("networkidle")
    await page.keyboard.press("Escape")
    await expect(hit).to_be_hidden()
    await page.keyboard.press("ArrowDown")
    await expect(hit).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url("/docs/settings#basewarden_origin")


async def test_the_heading_in_view_is_marked_in_the_contents(page: Page) -> None:
    await page.set_viewport_size({"width": 1440, "height": 700})
    await page.goto("/docs/guide")
    contents = page.get_by_role("navigation", name="On this page")
    await expect(contents.locator("[aria-current]")).to_have_text("1. Start it")
    await contents.get_by_role("link", name="4. Create an agent").click()
    await expect(contents.locator("[aria-current]")).to_have_text("4. Create an agent")
    await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    await expect(contents.locator("[aria-current]")).to_have_text("7. Undo it")


async def test_a_language_is_chosen_for_all_examples_and_remembered(page: Page) -> None:
    await page.goto("/docs/api/sessions")
    await page.get_by_text("Python", exact=True).first.click()
    await expect(page.get_by_text("requests.get(").first).to_be_visible()
    await expect(page.get_by_text("requests.post(").first).to_be_visible()
    await page.goto("/docs/api/billing")
    await expect(page.get_by_text("requests.post(").first).to_be_visible()


async def test_without_script_all_is_there(browser: Browser, product: ServedProduct) -> None:
    async with await browser.new_context(base_url=product.settings.origin, java_script_enabled=False) as context:
        page = await context.new_page()
        await page.goto("/docs/api")
        await expect(page.locator("#api-search")).to_be_hidden()
        assert await page.locator("#api-operations li").count() > 50
        await page.locator("#api-operations").get_by_role("link", name="/sessions/{session_id}/release").click()
        await expect(page.get_by_role("article", name="release")).to_be_visible()
        await page.get_by_text("JavaScript", exact=True).first.click()
        await expect(page.get_by_text("await fetch(").first).to_be_visible()
        search = page.get_by_role("searchbox", name="Search the docs")
        await search.fill("frozen session")
        await search.press("Enter")
        await expect(page.get_by_role("heading", name="Search")).to_be_visible()
        await expect(page.locator(".docs-results a").first).to_be_visible()


async def test_on_a_phone_the_pages_and_the_headings_open_from_buttons(page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto("/docs/guide")
    await expect(page.get_by_role("navigation", name="Docs", exact=True)).to_be_hidden()
    await page.get_by_role("button", name="All pages").click()
    await page.get_by_role("navigation", name="Docs", exact=True).get_by_role("link", name="Operating").click()
    await expect(page.get_by_role("heading", name="Operating Basewarden")).to_be_visible()
    await page.get_by_role("button", name="On this page").click()
    await page.get_by_role("navigation", name="On this page").get_by_role("link", name="Restore").click()
    await expect(page).to_have_url("/docs/operating#restore")
