"""The page /design, for operators only; `test_accessibility.py` examines it."""

import httpx
import psycopg
import pytest
from playwright.async_api import Browser

from tests.fixtures.app import PASSWORD, Serve, ServedProduct

pytestmark = pytest.mark.browser

EMAIL = "operator@example.com"
ACCOUNT = {"email": EMAIL, "password": PASSWORD}


@pytest.fixture
async def operated(serve: Serve) -> ServedProduct:
    product = await serve({"operators": (EMAIL,)})
    await product.sign_up(EMAIL)
    database = product.settings.database_url.reveal()
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute("UPDATE users SET email_verified_at = now()")
    return product


async def test_it_shows_our_typefaces(browser: Browser, operated: ServedProduct) -> None:
    async with await browser.new_context(base_url=operated.settings.origin) as context:
        assert (await context.request.post("/api/auth/signin", data=ACCOUNT)).ok
        page = await context.new_page()
        answer = await page.goto("/design")
        assert answer is not None
        assert answer.status == 200
        faces = await page.evaluate(
            "async () => { await document.fonts.ready; return [...document.fonts].filter(f => f.status === 'loaded')"
            ".map(f => f.family.replaceAll('\"', '')); }"
        )
        assert set(faces) == {"Geist Variable", "Geist Mono Variable"}


async def test_the_page_does_not_exist_for_others(operated: ServedProduct, client: httpx.AsyncClient) -> None:
    assert (await client.get("/design")).headers["location"].startswith("/signin")
    stranger = await operated.sign_up("stranger@example.com")
    assert (await stranger.get("/design")).status_code == 404
