"""The grid on a phone: what opens a row and its name stay in sight, rows are tall enough for a finger."""

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.examine import look_for_violations
from tests.workspace.conftest import Store

pytestmark = pytest.mark.browser

TALL_ENOUGH = 40


async def find_left(locator: Locator) -> float:
    box = await locator.bounding_box()
    assert box is not None
    return box["x"]


async def test_a_row_is_opened_and_read_without_moving_sideways_first(
    signed_in: Page, store: Store, axe_source: str
) -> None:
    page = signed_in
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto(store.table("lamps"))
    row = page.locator("tbody tr").nth(1)
    link, name = row.locator(".row-link"), row.locator("td.is-pinned")
    await expect(link).to_be_in_viewport(ratio=1)
    await expect(name).to_have_text("Desk lamp")
    box = await row.bounding_box()
    assert box is not None
    assert box["height"] >= TALL_ENOUGH
    before = [await find_left(one) for one in (link, name)]
    await page.evaluate("document.querySelector('.grid-wrap').scrollLeft = 300")
    assert [await find_left(one) for one in (link, name)] == pytest.approx(before, abs=1)
    widths = await row.locator("td").evaluate_all("cells => cells.map((cell) => cell.offsetWidth)")
    assert max(widths) < 390 / 2 + 20
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    await page.locator(".select-rows").click()
    await expect(row.get_by_role("checkbox")).to_be_visible()
    await expect(link).to_be_hidden()
    await row.get_by_role("checkbox").check()
    await page.locator(".select-rows").click()
    assert await look_for_violations(page, axe_source) == []  # also at other widths
    await link.click()
    await expect(page.locator("h1")).to_have_text("Desk lamp")


async def test_a_key_without_meaning_comes_after_what_people_read(signed_in: Page, store: Store) -> None:
    await store.behind.execute("create table guests (id uuid primary key, full_name text not null, email text)")
    await signed_in.goto(store.table("guests") + "?columns=id&columns=full_name&columns=email")
    await store.behind.execute("insert into guests values (gen_random_uuid(), 'Ada', 'ada@example.com')")
    await signed_in.reload()
    await expect(signed_in.locator("thead th[scope=col]").nth(1)).to_contain_text("full_name")
    await expect(signed_in.locator("thead th[scope=col]").last).to_contain_text("uuid")
