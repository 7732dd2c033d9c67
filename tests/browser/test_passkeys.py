"""Passkeys in a real Chromium, with its own authenticator in software: what the page's script does."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import psycopg
import pytest
from playwright.async_api import CDPSession, Page, expect

from basewarden.settings import Settings
from tests.fixtures.app import PASSWORD, ProjectDatabase, ServedProduct, serve_product
from tests.fixtures.ports import open_listener
from tests.fixtures.twofactor import StepClock, turn_on

pytestmark = pytest.mark.browser

EMAIL = "anna@example.com"
PAGE = "/settings/account/passkeys"


@pytest.fixture
async def product(settings: Settings, clock: StepClock) -> AsyncIterator[ServedProduct]:
    """Under a name: a browser knows no passkeys of a number."""
    listener = open_listener()
    origin = f"http://localhost:{listener.getsockname()[1]}"
    async with serve_product(settings.model_copy(update={"origin": origin}), listener, clock=clock) as product:
        yield product


@dataclass(frozen=True)
class VirtualAuthenticator:
    """The browser's authenticator, which presses its own button."""

    cdp: CDPSession
    id: str

    async def recognise(self, recognises: bool) -> None:
        """Whether the finger is the right one."""
        await self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": recognises})


@pytest.fixture
async def device(page: Page) -> VirtualAuthenticator:
    cdp = await page.context.new_cdp_session(page)
    await cdp.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    added = await cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return VirtualAuthenticator(cdp, added["authenticatorId"])


@pytest.fixture
async def anna(page: Page, device: VirtualAuthenticator) -> Page:
    """Signed in, with a passkey on this device."""
    account = {"email": EMAIL, "password": PASSWORD}
    assert (await page.context.request.post("/api/auth/signup", data=account)).ok
    await sign_in_by_password(page)
    await page.goto(PAGE)
    await page.get_by_label("Name").fill("Blue key")
    await page.get_by_role("button", name="Add passkey").click()
    await expect(page.get_by_text("Passkey added.")).to_be_visible()
    return page


async def sign_in_by_password(page: Page) -> None:
    account = {"email": EMAIL, "password": PASSWORD}
    assert (await page.context.request.post("/api/auth/signin", data=account)).ok


async def sign_out(page: Page) -> None:
    assert (await page.context.request.post("/api/auth/signout")).ok


async def test_signing_in_with_it(anna: Page, product: ServedProduct) -> None:
    page = anna
    await expect(page.get_by_role("row", name="Blue key")).to_contain_text("never")
    await sign_out(page)
    await page.goto(f"/signin?next={PAGE}")
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await expect(page).to_have_url(f"{product.settings.origin}{PAGE}")
    await expect(page.get_by_role("row", name="Blue key")).not_to_contain_text("never")


async def test_what_goes_wrong_is_said_in_words(anna: Page, device: VirtualAuthenticator) -> None:
    page = anna
    await page.get_by_role("button", name="Add passkey").click()
    await expect(page.get_by_text("This device already has a passkey for this account.")).to_be_visible()
    await sign_out(page)
    await page.goto("/signin")
    button = page.get_by_role("button", name="Sign in with a passkey")
    await device.recognise(False)
    await button.click()
    await expect(page.get_by_text("Cancelled, or timed out")).to_be_visible()
    await device.recognise(True)
    await button.click()
    await page.wait_for_url("**/connections")


async def test_a_passkey_that_is_gone_here_but_not_there(anna: Page) -> None:
    page = anna
    await page.get_by_role("link", name="Remove “Blue key”").click()
    await page.get_by_role("button", name="Remove passkey").click()
    await expect(page.get_by_text("No passkeys yet")).to_be_visible()
    await sign_out(page)
    await page.goto("/signin")
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await expect(page.get_by_text("This passkey could not be verified.")).to_be_visible()


async def test_it_is_named_by_the_day_and_renamed(anna: Page, device: VirtualAuthenticator) -> None:
    page = anna
    await device.cdp.send("WebAuthn.clearCredentials", {"authenticatorId": device.id})
    await page.get_by_role("link", name="Remove “Blue key”").click()
    await page.get_by_role("button", name="Remove passkey").click()
    await page.get_by_label("Name").click()  # there once the script is
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("rowheader", name="Passkey of")).to_be_visible()
    await page.get_by_role("link", name="Rename").click()
    await page.get_by_role("textbox", name="Name").fill("Laptop")
    await page.get_by_role("button", name="Rename").click()
    await expect(page.get_by_role("rowheader", name="Laptop")).to_be_visible()


async def test_as_the_second_factor(anna: Page, product: ServedProduct, clock: StepClock) -> None:
    page = anna
    person = await product.client()
    await person.post("/api/auth/signin", json={"email": EMAIL, "password": PASSWORD})
    await turn_on(person, EMAIL, clock)
    await sign_out(page)
    await page.goto(f"/signin?next={PAGE}")
    await page.get_by_label("Email").fill(EMAIL)
    await page.get_by_role("textbox", name="Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.get_by_role("button", name="Use a passkey").click()
    await expect(page).to_have_url(f"{product.settings.origin}{PAGE}")


async def test_confirming_with_it(anna: Page, product: ServedProduct, app_database: str) -> None:
    page = anna
    await sign_in_by_password(page)
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        await connection.execute("UPDATE signin_sessions SET authenticated_at = now() - interval '11 minutes'")
    await page.goto(PAGE)
    await expect(page.get_by_role("button", name="Add passkey")).to_have_count(0)
    await page.get_by_role("link", name="Confirm and add a passkey").click()
    await page.get_by_role("button", name="Confirm with a passkey").click()
    await expect(page).to_have_url(f"{product.settings.origin}{PAGE}")
    await expect(page.get_by_role("button", name="Add passkey")).to_be_visible()


async def test_confirming_with_it_sends_the_form_that_asked(
    anna: Page, project: ProjectDatabase, app_database: str
) -> None:
    page = anna
    wanted = {"name": "Shop", "postgresUrl": project.dsn}
    made = await page.context.request.post("/api/connections", data=wanted)
    await sign_in_by_password(page)
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        await connection.execute("UPDATE signin_sessions SET authenticated_at = now() - interval '11 minutes'")
    await page.goto(f"/c/{(await made.json())['id']}/agents/new?template=analyst")
    await page.get_by_role("button", name="Next").click()
    await page.get_by_role("button", name="Next").click()
    await page.get_by_role("button", name="Confirm with a passkey").click()
    await expect(page.get_by_role("heading", name="“analyst” is ready")).to_be_visible()


async def test_one_gone_stale_on_the_open_page(anna: Page, product: ServedProduct, app_database: str) -> None:
    page = anna
    await sign_in_by_password(page)
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        await connection.execute("UPDATE signin_sessions SET authenticated_at = now() - interval '11 minutes'")
    await page.get_by_role("button", name="Add passkey").click()
    await expect(page).to_have_url(
        f"{product.settings.origin}/settings/account/confirm?next={PAGE.replace('/', '%2F')}"
    )
