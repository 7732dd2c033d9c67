"""A scan that is followed while it runs, and a finding that is acknowledged in the dialog and opened again."""

import json

import pytest
from playwright.async_api import Page, expect

from basewarden.core.ids import make_id
from tests.browser.conftest import Store
from tests.fixtures.app import ServedProduct
from tests.fixtures.everything import OUTCOMES, add_findings, run

pytestmark = pytest.mark.browser


async def test_a_running_scan_is_followed_to_its_end(signed_in: Page, store: Store, product: ServedProduct) -> None:
    page, scan = signed_in, str(make_id())
    await run(
        product,
        "INSERT INTO sentry_scans (id, connection_id, status) VALUES (%s, %s, 'running')",
        scan,
        store.connection_id,
    )
    await page.goto(f"/c/{store.connection_id}/sentry")
    await expect(page.get_by_text("0 findings so far")).to_be_visible()
    await run(product, "UPDATE sentry_scans SET rules = %s WHERE id = %s", json.dumps(OUTCOMES), scan)
    await expect(page.get_by_text("2 findings so far")).to_be_visible()
    await expect(page.get_by_text("1 rule could not run")).to_be_visible()
    await run(
        product,
        "UPDATE sentry_scans SET status = 'done', finished_at = now(), schemas = '{public}', schemas_from = 'default'"
        " WHERE id = %s",
        scan,
    )
    await expect(page.get_by_role("heading", name="Last scan")).to_be_visible()
    await expect(page.get_by_role("button", name="Scan now")).to_be_visible()


async def test_a_finding_is_acknowledged_and_opened_again(
    signed_in: Page, store: Store, product: ServedProduct
) -> None:
    page = signed_in
    finding, _, _ = await add_findings(product, store.connection_id)
    await page.goto(f"/c/{store.connection_id}/sentry/{finding}")
    await page.get_by_role("link", name="Acknowledge…").press("Enter")
    dialog = page.get_by_role("dialog", name="Acknowledge this finding?")
    await dialog.get_by_label("Why it may stay as it is").fill("It is public")
    await dialog.get_by_text("1 week").click()
    await dialog.get_by_role("button", name="Acknowledge").click()
    await expect(page.get_by_text("You, ")).to_contain_text("It is public")
    await page.locator("[data-toast]").get_by_role("button", name="Undo").click()
    await expect(page.get_by_text("Opened again by you")).to_be_visible()
    await expect(page.get_by_role("link", name="Acknowledge…")).to_be_visible()
