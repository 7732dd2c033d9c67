"""A proposal is declined in its dialog, by keyboard: it says what happens, can be left, and sends the reason."""

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.browser.examine import look_for_violations, press, tab_to
from tests.fixtures.app import ServedProduct
from tests.workspace.conftest import Store

pytestmark = pytest.mark.browser


async def propose(store: Store, product: ServedProduct) -> str:
    """Returns the path of the proposal's page."""
    wanted = {"name": "lamp-bot", "access": "propose"}
    made = (await store.owner.post(f"/api/connections/{store.connection_id}/agents", json=wanted)).json()
    headers = {"apikey": made["token"]}
    async with httpx.AsyncClient(base_url=product.settings.origin, headers=headers) as agent:
        answer = await agent.patch(f"/api/v/{store.connection_id}/rest/v1/lamps?id=eq.2", json={"price": 1})
    assert answer.json()["code"] == "approval_required", answer.text
    return f"/c/{store.connection_id}/proposals/{answer.json()['details']['proposalId']}"


async def test_a_proposal_is_declined_in_its_dialog(
    signed_in: Page, store: Store, product: ServedProduct, axe_source: str
) -> None:
    page = signed_in
    path = await propose(store, product)
    await page.goto(path)
    dialog = page.get_by_role("dialog")
    await tab_to(page, "Decline…")
    await press(page, "Enter")
    await expect(dialog).to_be_visible()
    assert page.url.endswith(path), "the dialog is of the page"
    assert await look_for_violations(page, axe_source) == []
    await press(page, "Escape")
    await expect(dialog).to_be_hidden()
    await expect(page.locator("[data-dialog=decline]").first).to_be_focused()
    await press(page, "Enter")
    await dialog.get_by_label("Reason").fill("The price is too low.")
    await dialog.get_by_role("button", name="Decline").click()
    await expect(page.get_by_text("Declined, so nothing was changed")).to_be_visible()
    await expect(page.get_by_text("The price is too low.")).to_be_visible()
    await expect(dialog).to_be_hidden()
    await expect(page.locator("[data-dialog=decline]")).to_have_count(0)
    assert await store.ask("select price::text from lamps where id = 2") == "40"


async def test_cancelling_the_dialog_leaves_the_proposal_waiting(
    signed_in: Page, store: Store, product: ServedProduct
) -> None:
    page = signed_in
    path = await propose(store, product)
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto(path)
    await page.locator("[data-dialog=decline]").first.click()
    dialog = page.get_by_role("dialog")
    box = await dialog.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    await dialog.get_by_text("Cancel").click()
    await expect(dialog).to_be_hidden()
    proposal = path.replace("/c/", "/api/connections/")
    assert (await store.owner.get(proposal)).json()["status"] == "pending"
