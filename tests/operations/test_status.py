"""The status page says in words what health knows, to anybody. Its words for a dead database: test_health.py."""

import httpx

from basewarden import __version__
from basewarden.core.secret import Secret
from tests.fixtures.app import Serve


async def test_it_is_open_to_all_and_says_what_works(client: httpx.AsyncClient) -> None:
    page = await client.get("/status")
    assert page.status_code == 200
    assert "Everything works" in page.text
    assert "Not configured, by the operator's choice: email, billing, observability." in page.text
    assert __version__ in page.text


async def test_it_shows_what_is_configured_and_reveals_no_setting(serve: Serve) -> None:
    secrets = {"sentry_dsn": Secret("https://key@sentry.example/1"), "cron_secret": Secret("the scheduler's secret")}
    page = await (await (await serve(secrets)).client()).get("/status")
    assert "Not configured, by the operator's choice: email, billing." in page.text
    assert "Error reports and traces" in page.text
    assert "sentry.example" not in page.text
    assert "scheduler" not in page.text


async def test_a_bad_cookie_does_not_matter(client: httpx.AsyncClient) -> None:
    page = await client.get("/status", headers={"cookie": "authjs.session-token=nonsense"})
    assert page.status_code == 200


async def test_every_page_leads_to_it(client: httpx.AsyncClient, owner: httpx.AsyncClient) -> None:
    for page in (await client.get("/signin"), await owner.get("/connections"), await client.get("/nowhere")):
        for address in ("/status", "/docs", "/contact"):
            assert f'href="{address}"' in page.text
