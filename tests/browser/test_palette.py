"""The palette and the shortcuts, by keyboard and by mouse, and the frame that carries them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.async_api import Page, Request, expect

from tests.browser.examine import look_for_violations
from tests.fixtures.app import ServedProduct
from tests.workspace.conftest import Store

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def without_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine leaves no table out of a search."""
    monkeypatch.setattr("basewarden.workspace.palette.data.ROW_SECONDS", 30)


async def test_what_is_typed_is_found_and_opened_by_keyboard(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto(store.data)
    await page.keyboard.press("Control+K")
    field = page.get_by_role("combobox", name="Search or run a command")
    await expect(field).to_be_focused()
    await expect(page.get_by_role("group", name="Commands")).to_be_visible()
    await page.keyboard.type("sessions")
    selected = page.locator("[role=option][aria-selected=true]")
    await expect(selected).to_have_text("Sessions")
    await expect(field).to_have_attribute("aria-activedescendant", await selected.get_attribute("id") or "")
    await page.keyboard.press("ArrowDown")
    await expect(selected).to_contain_text("Active sessions")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{origin(page)}/c/{store.connection_id}/sessions")
    await page.keyboard.press("Control+K")
    await page.keyboard.type("agents")
    await page.keyboard.press("Enter")  # before the results are there
    await expect(page).to_have_url(f"{origin(page)}/c/{store.connection_id}/agents")
    await page.keyboard.press("Control+K")
    await expect(page.get_by_role("group", name="Recent").get_by_role("option", name="Sessions")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(field).to_be_hidden()


async def test_pages_and_tables_that_were_opened_come_first(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto(f"{store.table('lamps')}?sort=name")
    await page.goto(f"/c/{store.connection_id}/sessions")
    await page.goto(f"/c/{store.connection_id}/agents")
    await page.keyboard.press("Control+K")
    recent = page.get_by_role("group", name="Recent").get_by_role("option")
    await expect(recent).to_have_text(["Sessions", "lampstable"])
    await expect(recent.first).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("lamps")


async def test_commands_run(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto(store.data)
    await page.keyboard.press("Control+K")
    await page.keyboard.type("agents")
    await page.get_by_role("option", name="Agents", exact=True).click()
    await expect(page.locator("h1")).to_have_text("Agents")
    assert "/agents" in await page.evaluate("sessionStorage.getItem('basewarden.recent')")
    await page.keyboard.press("Control+K")
    await page.keyboard.type("theme")
    await page.get_by_role("option", name="Change theme").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.get_by_role("link", name="Search or run a command").click()
    await page.keyboard.type("log out")
    await expect(page.get_by_role("option", name="Sign out")).to_be_visible()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/signin*")
    assert await page.evaluate("sessionStorage.getItem('basewarden.recent')") is None


async def test_rows_come_before_commands_and_enter_never_takes_one_that_stops_work(
    signed_in: Page, store: Store
) -> None:
    page = signed_in
    wanted = {"name": "desk robot", "access": "write"}
    made = await store.owner.post(f"/api/connections/{store.connection_id}/agents", json=wanted)
    await page.goto(store.data)
    await page.keyboard.press("Control+K")
    await page.keyboard.type("desk")
    await expect(page.get_by_role("group", name="Rows")).to_be_visible()
    groups = await page.locator("#palette [role=group]").evaluate_all("all => all.map(one => one.ariaLabel)")
    assert groups == ["Agents", "Rows", "Commands"]
    selected = page.locator("[role=option][aria-selected=true]")
    await expect(selected).to_have_text("desk robotagent")
    field = page.get_by_role("combobox", name="Search or run a command")
    await field.fill("freeze desk")
    await expect(page.get_by_role("option", name="Freeze desk robot")).to_be_visible()
    await expect(selected).to_have_count(0)
    await field.press("Enter")
    await expect(field).to_be_visible()
    await expect(page.locator("#palette-note")).to_have_text("1 result")
    await field.press("ArrowDown")
    await expect(selected).to_contain_text("Freeze desk robot")
    await field.press("Enter")
    await expect(page).to_have_url(re.compile(made.json()["id"]))


async def test_shortcuts_go_to_pages_but_not_while_one_types(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto("/status")
    home = f"{origin(page)}/c/{store.connection_id}"
    await page.keyboard.type("gh")
    await expect(page).to_have_url(home)  # a page of no connection keeps the one that was opened last
    await page.goto(store.data)
    for keys, path in (("gs", "/sessions"), ("ga", "/agents"), ("gd", "/data"), ("gh", "")):
        await page.keyboard.type(keys)
        await expect(page).to_have_url(f"{home}{path}")
        await page.wait_for_load_state()
    await page.goto(store.data)
    field = page.get_by_role("searchbox").first
    await field.fill("")
    await field.press_sequentially("?gs")
    await expect(field).to_have_value("?gs")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


async def test_the_list_of_shortcuts_opens_and_switches_single_keys_off(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto(store.data)
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    await page.keyboard.press("?")
    await expect(dialog).to_be_visible()
    await dialog.get_by_role("checkbox").uncheck()
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(dialog).to_be_hidden()
    await page.get_by_role("button", name="Account of").click()
    await page.get_by_role("link", name="Keyboard shortcuts").click()
    await dialog.get_by_role("checkbox").check()
    await dialog.get_by_role("button", name="Close").click()
    await page.keyboard.press("?")
    await expect(dialog).to_be_visible()


async def test_neither_shuts_anybody_out(signed_in: Page, store: Store, axe_source: str) -> None:
    page = signed_in
    await page.goto(store.data)
    await page.keyboard.press("Control+K")
    await page.keyboard.type("lamp")
    await expect(page.get_by_role("group", name="Rows")).to_be_visible()
    assert await look_for_violations(page, axe_source) == []
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    assert await look_for_violations(page, axe_source) == []


async def test_a_palette_that_cannot_ask_says_so(signed_in: Page, store: Store) -> None:
    page = signed_in
    await page.goto(store.data)
    await page.route("**/palette?*", lambda route: route.fulfill(status=404, body=""))
    await page.keyboard.press("Control+K")
    await expect(page.get_by_text("The results could not be loaded.")).to_be_visible()


async def test_without_script_search_is_a_page(signed_in: Page, store: Store, product: ServedProduct) -> None:
    state = await signed_in.context.storage_state()
    async with await signed_in.context.browser.new_context(  # type: ignore[union-attr]  # it has one
        base_url=product.settings.origin, java_script_enabled=False, storage_state=state
    ) as context:
        page = await context.new_page()
        await page.goto(store.data)
        await page.get_by_role("link", name="Search or run a command").click()
        await page.get_by_label("Search for").fill("reading")
        await page.get_by_role("button", name="Search").click()
        await page.get_by_role("link", name="Reading lamp").click()
        await expect(page.locator("h1")).to_be_visible()
        assert page.url.endswith(store.row("lamps", "1"))


async def test_typing_asks_only_for_what_stands(signed_in: Page, store: Store) -> None:
    """Fast typing is one search, not one for each key."""
    page = signed_in
    await page.goto(store.data)
    await page.keyboard.press("Control+K")
    await expect(page.get_by_role("group", name="Commands")).to_be_visible()
    with asked(page) as texts:
        await page.keyboard.type("reading lamp", delay=10)
        await expect(page.get_by_role("option", name="Reading lamp")).to_be_visible()
    assert texts[-1] == "reading lamp"
    assert len(texts) <= 3


@contextmanager
def asked(page: Page) -> Iterator[list[str]]:
    texts: list[str] = []

    def note(request: Request) -> None:
        path, _, query = request.url.partition("?")
        if path.endswith("/palette"):
            texts.append(query.partition("q=")[2].partition("&")[0].replace("+", " "))

    page.on("request", note)
    yield texts
    page.remove_listener("request", note)


def origin(page: Page) -> str:
    """The page has been opened."""
    return page.url.split("/c/")[0].split("/status")[0].removesuffix("/")
