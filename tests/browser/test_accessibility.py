"""Every page, loaded once: axe-core in both themes and widths, the keyboard alone, no error in the browser, our policy."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect
from pyotp import TOTP

from basewarden.demo.data import EMAIL as DEMO_EMAIL
from tests.browser.conftest import PageErrors
from tests.browser.examine import examine, list_found, look_for_violations
from tests.fixtures.app import PASSWORD, ServedProduct
from tests.fixtures.everything import INVITATION_TOKEN, INVITED, MEMBER, OWNER, fill_pages, run
from tests.fixtures.page_list import (
    HALF_SIGNED_IN_PAGES,
    OPERATOR_PAGES,
    SETTINGS,
    STALE_PAGES,
    VISITOR_PAGES,
    list_account_pages,
    list_connection_pages,
)
from tests.workspace.conftest import Store

pytestmark = pytest.mark.browser


@dataclass
class Inspection:
    """One browser context, and what was found in it by page or by the state of a page."""

    page: Page
    axe_source: str
    page_errors: PageErrors
    known: set[str] = field(default_factory=set)
    found: dict[str, list[str]] = field(default_factory=dict)

    @property
    def context(self) -> BrowserContext:
        return self.page.context

    async def sign_in(self, email: str) -> None:
        assert (await self.context.request.post("/api/auth/signin", data={"email": email, "password": PASSWORD})).ok

    async def open(self, *paths: str) -> None:
        for path in paths:
            answer = await self.page.goto(path)
            assert answer is not None
            assert "content-security-policy" in answer.headers
            assert self.page.url.endswith(path), f"{path} leads to {self.page.url}"
            await self.note(path)

    async def note(self, state: str) -> None:
        """The page as it is now."""
        problems = await examine(self.page, self.axe_source, self.known)
        self.found[state] = problems + self.page_errors.seen
        self.page_errors.seen = []

    async def submit(self, path: str, action: str) -> None:
        """A form as it is found, whose answer is an error of the server."""
        await self.page.goto(path)
        form = self.page.locator(f"form[method=post][action$='{action}']").first
        await form.evaluate("form => { form.noValidate = true; form.requestSubmit(); }")
        await expect(self.page.locator("[role=alert], [aria-invalid=true]").first).to_be_visible()
        self.found[f"{action} refused"] = await look_for_violations(self.page, self.axe_source)

    async def press(self, path: str, button: str, shows: str) -> None:
        """A button whose answer is a page of its own."""
        await self.page.goto(path)
        await self.page.get_by_role("button", name=button).click()
        await expect(self.page.get_by_role("heading", name=shows)).to_be_visible()
        self.found[f"{path} {button}"] = await look_for_violations(self.page, self.axe_source)


@pytest.fixture
def product(whole_product: ServedProduct) -> ServedProduct:
    return whole_product


@pytest.fixture
def account() -> dict[str, str]:
    return {"email": OWNER, "password": PASSWORD}


@pytest.fixture
async def inspection(browser: Browser, product: ServedProduct, axe_source: str) -> AsyncIterator[Inspection]:
    async with await browser.new_context(base_url=product.settings.origin, reduced_motion="reduce") as context:
        page = await context.new_page()
        page_errors = PageErrors()
        page_errors.watch(page)
        yield Inspection(page, axe_source, page_errors)


async def test_every_page_of_a_visitor(inspection: Inspection) -> None:
    await inspection.open(*VISITOR_PAGES)
    for path in ("/signin", "/signup", "/forgot", "/contact"):
        await inspection.submit(path, path)
    assert list_found(inspection.found) == {}


async def test_every_page_of_a_connection(inspection: Inspection, store: Store, product: ServedProduct) -> None:
    ids = await fill_pages(store, product)
    await inspection.sign_in(OWNER)
    await inspection.open(*list_connection_pages(ids), *OPERATOR_PAGES)
    await inspection.submit("/connections/new", "/connections/new")
    await inspection.submit(f"{store.table('lamps')}/+new", "/+new")
    await inspection.submit(f"/c/{ids.connection}/alerts/new", "/alerts")
    await inspection.submit("/operator/billing", "/grants")
    await inspection.press(f"/c/{ids.connection}/sentry/{ids.hole}/fix", "Try the fix", "Before and after")
    assert list_found(inspection.found) == {}


async def test_what_an_invited_person_and_a_locked_out_member_see(
    inspection: Inspection, store: Store, product: ServedProduct
) -> None:
    ids = await fill_pages(store, product)
    invitation = f"/invitations/{INVITATION_TOKEN}"
    await inspection.open(invitation)
    await inspection.sign_in(MEMBER)
    await inspection.open(invitation, f"/c/{ids.connection}/members")
    await run(product, "UPDATE connections SET requires_two_factor = true")
    await inspection.open(f"/c/{ids.connection}/two-factor", "/connections")
    await product.sign_up(INVITED)
    await inspection.sign_in(INVITED)
    await inspection.open(invitation)
    assert list_found(inspection.found) == {}


async def test_every_page_of_an_account(inspection: Inspection, store: Store, product: ServedProduct) -> None:
    ids = await fill_pages(store, product)
    await inspection.sign_in(OWNER)
    await inspection.open(*list_account_pages(ids))
    await inspection.submit(SETTINGS, "/password")
    assert list_found(inspection.found) == {}


async def test_every_state_of_two_factor_authentication(inspection: Inspection, product: ServedProduct) -> None:
    """Of the demo's account, whose pages have its banner too."""
    page = inspection.page
    await product.sign_up(DEMO_EMAIL)
    await inspection.sign_in(DEMO_EMAIL)
    await inspection.open("/connections", f"{SETTINGS}/passkeys", f"{SETTINGS}/2fa")
    await page.get_by_role("button", name="Set up").click()
    await page.get_by_role("heading", name="Set up two-factor authentication").wait_for()
    await inspection.note("setting up")
    secret = await page.locator("input[name=secret]").get_attribute("value")
    await page.get_by_label("Code", exact=True).fill(TOTP(secret or "").now())
    await page.get_by_role("button", name="Turn on").click()
    await page.get_by_role("heading", name="Save these ten recovery codes").wait_for()
    await inspection.note("the codes")
    await inspection.open(f"{SETTINGS}/2fa")
    await inspection.context.clear_cookies()
    await inspection.sign_in(DEMO_EMAIL)
    await inspection.open(*HALF_SIGNED_IN_PAGES)
    await expect(page).to_have_url(re.compile("/signin/2fa"))
    assert list_found(inspection.found) == {}


async def test_the_pages_of_an_old_sign_in_and_before_a_deletion(
    inspection: Inspection, product: ServedProduct
) -> None:
    await product.sign_up(OWNER)
    await inspection.sign_in(OWNER)
    await run(product, "UPDATE signin_sessions SET authenticated_at = now() - interval '11 minutes'")
    await inspection.open(*STALE_PAGES, SETTINGS)
    await inspection.submit(STALE_PAGES[0], "/confirm")
    await inspection.context.clear_cookies()
    await inspection.sign_in(OWNER)
    assert (await inspection.context.request.post(f"{SETTINGS}/delete", form={"confirm": OWNER})).ok
    await inspection.open("/connections", f"{SETTINGS}/data")
    assert list_found(inspection.found) == {}
