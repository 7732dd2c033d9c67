"""Built files are kept by browsers and compressed; pages are compressed where that reveals nothing."""

import gzip
import re

import httpx
import pytest

from tests.fixtures.app import ServedProduct
from tests.web.raw import ask

OWN = {"Sec-Fetch-Site": "same-origin", "Accept-Encoding": "gzip"}


@pytest.fixture
async def names(client: httpx.AsyncClient) -> list[str]:
    page = (await client.get("/signin")).text
    return re.findall(r'(/static/build/[^"]+[.](?:css|js))"', page)


async def test_built_files_are_kept_for_ever_and_compressed(
    product: ServedProduct, client: httpx.AsyncClient, names: list[str]
) -> None:
    assert len(names) == 2
    for name in names:
        plain = await client.get(name, headers={"Accept-Encoding": "identity"})
        packed = await client.get(name, headers={"Accept-Encoding": "gzip"})
        smallest = await ask(
            product.port, f"GET {name} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, br\r\n\r\n".encode()
        )
        for answer in (plain, packed, smallest):
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["vary"] == "accept-encoding"
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < len(plain.content) / 2
        assert packed.content == plain.content
        assert smallest.headers["content-encoding"] == "br"
        assert int(smallest.headers["content-length"]) < int(packed.headers["content-length"])
        assert plain.headers["content-type"].startswith("text/")
        assert (await client.head(name)).headers["content-length"]


async def test_typefaces_are_loaded_early_and_kept_for_ever(client: httpx.AsyncClient) -> None:
    page = (await client.get("/signin")).text
    files = re.findall(r'rel="preload" href="(/static/build/[^"]+[.]woff2)" as="font"', page)
    assert len(files) == 2
    for file in files:
        answer = await client.get(file)
        assert answer.headers["content-type"] == "font/woff2"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert len(answer.content) < 40_000


@pytest.mark.parametrize(
    "path",
    [
        "/static/build/manifest.json",
        "/static/build/.lock",
        "/static/build/main-AAAAAAAA.js",
        f"/static/build/{'a' * 300}-AAAAAAAA.js",
        f"/static/build/{'%C3%A9' * 150}-AAAAAAAA.js",
        "/static/build/../assets.py",
        "/static/build/%2e%2e/%2e%2e/assets.py",
        "/static/",
    ],
)
async def test_nothing_else_is_served_from_there(product: ServedProduct, path: str) -> None:
    answer = await ask(product.port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["cache-control"] == "no-store"


async def test_pages_are_compressed_for_their_own_site_only(owner: httpx.AsyncClient) -> None:
    own = await owner.get("/connections/new", headers=OWN)
    assert own.headers["content-encoding"] == "gzip"
    assert own.headers["vary"] == "accept-encoding, sec-fetch-site"
    assert own.headers["cache-control"] == "no-store"
    plain = await owner.get("/connections/new")
    assert own.text == plain.text
    for headers in (
        {},
        {"Sec-Fetch-Site": "cross-site", "Accept-Encoding": "gzip"},
        {"Sec-Fetch-Site": "same-site", "Accept-Encoding": "gzip"},
        {"Sec-Fetch-Site": "same-origin", "Accept-Encoding": "gzip;q=0, identity"},
    ):
        assert "content-encoding" not in (await owner.get("/connections/new", headers=headers)).headers, headers


async def test_what_holds_a_secret_or_is_data_is_never_compressed(owner: httpx.AsyncClient, connection_id: str) -> None:
    agents = f"/c/{connection_id}/agents"
    made = await owner.post(agents, data={"name": "bot", "access": "read"}, headers=OWN)
    assert (made.status_code, "content-encoding" in made.headers) == (201, False)
    for path in (f"/api/v/{connection_id}/rest/v1/notes", "/api/openapi.json", f"/reset/{'k' * 43}"):
        assert "content-encoding" not in (await owner.get(path, headers=OWN)).headers, path


async def test_large_pages_are_whole(product: ServedProduct) -> None:
    request = b"GET /docs/api HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: none\r\nAccept-Encoding: gzip\r\n\r\n"
    answer = await ask(product.port, request)
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body).rstrip().endswith(b"</html>")


async def test_addresses_that_people_try(client: httpx.AsyncClient, owner: httpx.AsyncClient) -> None:
    assert (await client.get("/favicon.ico")).headers["content-type"] == "image/svg+xml"
    assert (await owner.get("/billing")).headers["location"] == "/settings/billing"
    for path in ("/api/v/01a20e6d-a6cc-7ab5-be21-609e3b396094", "/api/v/x/"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert "/rest/v1/<table>" in answer.json()["hint"]
