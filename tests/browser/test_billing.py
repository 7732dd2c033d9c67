"""The pages of billing in a real browser: axe-core finds nothing in any state, and the checkout is reached by keyboard."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from playwright.async_api import Browser, expect
from psycopg.rows import dict_row

from tests.browser.examine import find_violations, list_found
from tests.fakes.dodo import FakeDodo, Selling
from tests.fixtures.app import PASSWORD, Serve
from tests.flows.records import Records

pytestmark = pytest.mark.browser

ANNA, PAGE, OPERATOR = "anna@example.com", "/settings/billing", "/operator/billing"


@pytest.fixture
async def records(app_database: str) -> AsyncIterator[Records]:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as connection:
        yield Records(connection)


@pytest.fixture
async def operated(serve: Serve, dodo: FakeDodo) -> Selling:
    return Selling(await serve({**dodo.settings(), "operators": (ANNA,)}), dodo)


async def test_no_state_of_a_plan_shuts_anybody_out(
    browser: Browser, operated: Selling, records: Records, axe_source: str
) -> None:
    product, world = operated.product, operated.dodo.world
    await product.sign_up(ANNA)
    await records.run("UPDATE users SET email_verified_at = now()")
    found: dict[str, list[str]] = {}
    async with await browser.new_context(base_url=product.settings.origin) as context:
        assert (await context.request.post("/api/auth/signin", data={"email": ANNA, "password": PASSWORD})).ok
        page = await context.new_page()
        found["free"] = await find_violations(page, PAGE, axe_source)
        found["no deliveries"] = await find_violations(page, OPERATOR, axe_source)
        bought = world.subscribe(await records.person_id(ANNA))
        await operated.deliver(bought)
        found["active"] = await find_violations(page, PAGE, axe_source)
        yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
        late = world.change(bought.object_id, "subscription.on_hold", status="on_hold", next_billing_date=yesterday)
        await operated.deliver(late)
        found["failed"] = await find_violations(page, PAGE, axe_source)
        found["deliveries"] = await find_violations(page, OPERATOR, axe_source)
    assert list_found(found) == {}


@pytest.mark.parametrize("scripted", [True, False])
async def test_a_plan_is_chosen_by_keyboard(browser: Browser, operated: Selling, *, scripted: bool) -> None:
    product = operated.product
    await product.sign_up(ANNA)
    async with await browser.new_context(base_url=product.settings.origin, java_script_enabled=scripted) as context:
        assert (await context.request.post("/api/auth/signin", data={"email": ANNA, "password": PASSWORD})).ok
        page = await context.new_page()
        await page.goto(PAGE)
        await expect(page.get_by_role("progressbar", name="Connections")).to_be_visible()
        await page.get_by_role("button", name="Choose Hosted").press("Enter")
        await expect(page).to_have_url(re.compile(f"{re.escape(operated.dodo.url)}/session/"))
