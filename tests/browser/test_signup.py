"""Signing up in a real browser: by keyboard alone, with and without script, for each way that leads in."""

import re
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.examine import look_for_violations
from tests.fixtures.app import PASSWORD, Serve, ServedProduct
from tests.fixtures.mailing import Mailing, ServeMailing

pytestmark = pytest.mark.browser


@pytest.fixture
async def product(serve: Serve) -> ServedProduct:
    """Of its own: its first account is signed in at once."""
    return await serve()


FIRST, ANNA = "first@example.com", "anna@example.com"


async def type_account(page: Page, email: str, password: str = PASSWORD) -> None:
    """With nothing but the keyboard, from the field of the name on."""
    await page.get_by_label("Name").focus()
    for text in ("Anna", email, password):
        await page.keyboard.type(text)
        await page.keyboard.press("Tab")
    await page.get_by_label("Password", exact=True).press("Enter")


async def open_context(browser: Browser, product: ServedProduct, **options: Any) -> BrowserContext:
    return await browser.new_context(base_url=product.settings.origin, **options)


@pytest.mark.parametrize("scripted", [True, False])
async def test_the_first_account_is_in_at_once(browser: Browser, product: ServedProduct, *, scripted: bool) -> None:
    async with await open_context(browser, product, java_script_enabled=scripted) as context:
        page = await context.new_page()
        await page.goto("/signup")
        await expect(page.get_by_text("At least 8 characters")).to_be_visible()
        await type_account(page, ANNA, "password")
        await expect(page.locator("#password-error")).to_contain_text("common passwords")
        await expect(page.get_by_label("Email")).to_have_value(ANNA)
        field = page.get_by_label("Password", exact=True)
        if scripted:
            for typed, words in (
                ("short", "Too short"),
                ("anna1234567", "Easy to guess"),
                ("aaaaaaaaaaaaaaaaaaaa", "Easy to guess"),
                ("four unrelated wet words", "Strong"),
            ):
                await field.fill(typed)
                await expect(page.get_by_role("status").filter(has_text=words)).to_be_visible()
        await field.fill(PASSWORD)
        await field.press("Enter")
        await expect(page).to_have_url(re.compile("/connections$"))


@pytest.mark.parametrize("scripted", [True, False])
async def test_without_mail_only_the_password_is_typed_again(
    browser: Browser, product: ServedProduct, *, scripted: bool
) -> None:
    await product.sign_up(FIRST)
    async with await open_context(browser, product, java_script_enabled=scripted) as context:
        page = await context.new_page()
        await page.goto("/signup")
        await type_account(page, ANNA)
        await expect(page.get_by_text("Sign in with the password you just chose")).to_be_visible()
        await expect(page.get_by_label("Email")).to_have_value(ANNA)
        await expect(page.get_by_label("Password", exact=True)).to_be_focused()
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile("/connections$"))


@pytest.mark.parametrize("scripted", [True, False])
async def test_the_link_of_the_email_leads_in(
    browser: Browser, serve_mailing: ServeMailing, axe_source: str, *, scripted: bool
) -> None:
    mailing: Mailing = await serve_mailing()
    await mailing.sign_up(FIRST)
    async with await open_context(browser, mailing.product, java_script_enabled=scripted) as context:
        page = await context.new_page()
        await page.goto("/signup")
        await type_account(page, ANNA)
        await expect(page.get_by_role("heading", name="We sent you a link")).to_be_visible()
        await expect(page.get_by_text(ANNA)).to_be_visible()
        if scripted:
            assert await look_for_violations(page, axe_source) == []
        await page.goto(f"/verify-email/{await mailing.read_token(ANNA)}")
        if scripted:
            assert await look_for_violations(page, axe_source) == []
        await page.get_by_role("button", name="Confirm and sign in").press("Enter")
        await expect(page).to_have_url(re.compile("/connections$"))
        await page.goto("/settings/account")
        await expect(page.locator(".badge", has_text="confirmed")).to_have_text("✓confirmed")
