"""Signing in with GitHub in a real Chromium: across two sites, with our cookies and our Content-Security-Policy."""

from collections.abc import AsyncIterator

import psycopg
import pytest
from playwright.async_api import Browser, Page

from tests.browser.conftest import PageErrors
from tests.fakes.github import FakeGitHub, make_person
from tests.fixtures.app import PASSWORD, Serve, ServedProduct

pytestmark = pytest.mark.browser

EMAIL = "anna@example.com"


@pytest.fixture
async def across(serve: Serve, github: FakeGitHub) -> ServedProduct:
    """GitHub under another name, so that the two are different sites to the browser."""
    github.url = github.url.replace("127.0.0.1", "localhost")
    return await serve(github.settings())


@pytest.fixture(params=[True, False], ids=["with script", "without script"])
async def page(request: pytest.FixtureRequest, browser: Browser, across: ServedProduct) -> AsyncIterator[Page]:
    page_errors = PageErrors()
    origin = across.settings.origin
    async with await browser.new_context(base_url=origin, java_script_enabled=request.param) as context:
        context.set_default_timeout(10_000)
        page = await context.new_page()
        page_errors.watch(page)
        yield page
    assert page_errors.seen == []


async def test_signing_up_and_in(page: Page, github: FakeGitHub) -> None:
    github.person = None
    await page.goto("/signin")
    await page.get_by_role("link", name="Continue with GitHub").click()
    await page.get_by_text("You did not authorize Basewarden at GitHub").wait_for()
    github.person = make_person(1, "anna", EMAIL, "Anna")
    await page.get_by_role("link", name="Continue with GitHub").click()
    await page.wait_for_url("**/connections")
    await page.goto("/settings/account/github")
    await page.get_by_text("GitHub is the only way to sign in to this account").wait_for()


async def test_linking_by_a_form(page: Page, across: ServedProduct, github: FakeGitHub) -> None:
    """A form whose answer were a redirect to GitHub would be stopped by our own policy."""
    await across.sign_up(EMAIL)
    github.person = make_person(1, "anna-at-github")
    await page.goto("/signin?next=/settings/account/github")
    await page.get_by_label("Email").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.get_by_role("button", name="Link GitHub").click()
    await page.get_by_text("GitHub is linked.").wait_for()
    await page.get_by_text("anna-at-github").wait_for()
    await page.get_by_role("button", name="Unlink GitHub").click()
    await page.get_by_text("GitHub is unlinked").wait_for()


async def test_confirming(page: Page, serve: Serve, github: FakeGitHub, app_database: str) -> None:
    github.person = make_person(1, "anna", EMAIL, "Anna")
    await page.goto("/signin")
    await page.get_by_role("link", name="Continue with GitHub").click()
    await page.wait_for_url("**/connections")
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        await connection.execute("UPDATE signin_sessions SET authenticated_at = now() - interval '11 minutes'")
    elsewhere = (await serve(github.settings())).settings.origin  # a process that has not seen this person before
    await page.goto(f"{elsewhere}/settings/account/confirm?next=/settings/account/passkeys")
    github.person = make_person(2, "somebody")
    await page.get_by_role("link", name="Confirm with GitHub").click()
    await page.get_by_text("This is not the linked GitHub account").wait_for()
    github.person = make_person(1, "anna", EMAIL, "Anna")
    await page.get_by_role("link", name="Confirm with GitHub").click()
    await page.wait_for_url("**/settings/account/passkeys")
