"""The links of emails in a real browser: what its forms send is what we let in, and axe-core finds nothing."""

import re

import pytest
from playwright.async_api import Browser, expect

from basewarden.accounts import Purpose, make_operator_link
from basewarden.db import Database
from tests.browser.examine import find_violations, list_found
from tests.fixtures.app import Serve, ServedProduct
from tests.fixtures.mailing import ServeMailing

pytestmark = pytest.mark.browser


@pytest.fixture
async def product(serve: Serve) -> ServedProduct:
    """Of its own: each test has the same person."""
    return await serve()


ANNA = "anna@example.com"


async def make_path(product: ServedProduct, purpose: Purpose) -> str:
    link = await make_operator_link(product.registry.get(Database), product.settings, ANNA, purpose)
    return link.removeprefix(product.settings.origin)


@pytest.mark.parametrize("scripted", [True, False])
async def test_a_forgotten_password_is_replaced(browser: Browser, product: ServedProduct, *, scripted: bool) -> None:
    await product.sign_up(ANNA)
    async with await browser.new_context(base_url=product.settings.origin, java_script_enabled=scripted) as context:
        page = await context.new_page()
        await page.goto(await make_path(product, Purpose.VERIFY))
        await page.get_by_role("button", name="Confirm address").click()
        await expect(page.get_by_text("Your email address is confirmed")).to_be_visible()

        await page.goto(await make_path(product, Purpose.RESET))
        await page.get_by_label("New password", exact=True).fill("tiny")
        await page.get_by_role("button", name="Change password").click()
        await expect(page.get_by_role("alert")).to_contain_text("at least 8 characters")
        await page.get_by_label("New password", exact=True).fill("a short swim in the lake")
        await page.get_by_role("button", name="Change password").click()
        await expect(page.get_by_text("Your password was changed")).to_be_visible()

        await page.get_by_label("Email").fill(ANNA)
        await page.get_by_label("Password", exact=True).fill("a short swim in the lake")
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page).to_have_url(re.compile("/connections$"))


async def test_no_page_shuts_anybody_out(
    browser: Browser, product: ServedProduct, serve_mailing: ServeMailing, axe_source: str
) -> None:
    mailing = await serve_mailing()
    await product.sign_up(ANNA)
    async with await browser.new_context() as context:
        page = await context.new_page()
        pages = await list_pages(product, mailing.product)
        assert list_found({path: await find_violations(page, path, axe_source) for path in pages}) == {}


async def list_pages(product: ServedProduct, mailing: ServedProduct) -> list[str]:
    """Pages that work, also of a product without emails; `test_accessibility.py` has the others."""
    ours, theirs = product.settings.origin, mailing.settings.origin
    reset, verify = await make_path(product, Purpose.RESET), await make_path(product, Purpose.VERIFY)
    pages = [f"{ours}/forgot", f"{ours}/contact", f"{theirs}/forgot?done=sent", f"{ours}/signin?done=reset"]
    return [*pages, f"{ours}{reset}", f"{ours}{verify}"]
