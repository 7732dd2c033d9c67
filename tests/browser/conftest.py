"""A real Chromium, and a page that reports whatever the browser complains about.

The product is shared by the whole run, and each test has a person of its own on it. A module whose tests need a product of
their own has its own fixture `product`.
"""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from basewarden.web.assets import ensure_packages
from tests.fixtures.app import PASSWORD, ServedProduct
from tests.workspace.conftest import Store, store_template
from tests.workspace.conftest import store as outliving_store

__all__ = ["Store", "outliving_store", "store_template"]

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
HERE = Path(__file__).parent


def find_chromium() -> str | None:
    """The headless shell does without the browser's own window, whose drawing takes as much as a page's."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


@dataclass
class PageErrors:
    """What a page's console said and which scripts failed; an answer of 4xx that a test provokes is named in it."""

    seen: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.seen.append(str(error)))
        page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        is_refusal = "the server responded with a status of 4" in message.text
        if message.type in ("error", "warning") and not is_refusal:
            self.seen.append(message.text)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        yield chromium
        await chromium.close()


@pytest.fixture(scope="session")
async def axe_source() -> str:
    await ensure_packages(HERE, lambda _: None)
    return (HERE / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture
def product(bench_product: ServedProduct) -> ServedProduct:
    return bench_product


@pytest.fixture
def account() -> dict[str, str]:
    """What the owner of the store signs in with."""
    return {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}


@pytest.fixture
async def owner(product: ServedProduct, account: dict[str, str]) -> httpx.AsyncClient:
    return await product.sign_up(account["email"])


@pytest.fixture
async def store(outliving_store: Store, page: Page) -> AsyncIterator[Store]:
    """Its page is closed before its database goes: what the page still asks for then would fail, and be heard."""
    yield outliving_store
    await page.context.close()


@pytest.fixture
async def signed_in(page: Page, owner: httpx.AsyncClient, account: dict[str, str]) -> Page:
    """As the owner."""
    assert (await page.context.request.post("/api/auth/signin", data=account)).ok
    return page


@pytest.fixture
async def page(browser: Browser, product: ServedProduct) -> AsyncIterator[Page]:
    """At the end nothing may have gone wrong in the browser."""
    page_errors = PageErrors()
    async with await browser.new_context(base_url=product.settings.origin) as context:
        context.set_default_timeout(10_000)
        page = await context.new_page()
        page_errors.watch(page)
        yield page
    assert page_errors.seen == []
