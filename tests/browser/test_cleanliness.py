"""No page makes the browser complain: no script error, no violation of the Content-Security-Policy."""

import pytest
from playwright.async_api import Page

from tests.browser.test_accessibility import OPEN_PAGES, list_pages, make_session
from tests.fixtures.app import PASSWORD, ServedProduct
from tests.workspace.conftest import Store

pytestmark = pytest.mark.browser


async def test_no_page_makes_the_browser_complain(page: Page, store: Store, product: ServedProduct) -> None:
    for path in OPEN_PAGES:
        await page.goto(path)
    account = {"email": "owner@example.com", "password": PASSWORD}
    assert (await page.context.request.post("/api/auth/signin", data=account)).ok
    for path in list_pages(store, *await make_session(store, product)):
        answer = await page.goto(path, wait_until="networkidle")
        assert answer is not None
        assert "content-security-policy" in answer.headers
