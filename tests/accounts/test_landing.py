"""The landing page: open to all, light, and true to its words; a signed-in person is led to their connections."""

import re

import httpx

from tests.fixtures.app import ServedProduct
from tests.web.raw import ask

ALLOWED_BYTES = 150_000


async def test_it_says_what_the_product_does_and_where_to_begin(client: httpx.AsyncClient) -> None:
    page = (await client.get("/")).text
    assert page.count("<h1") == 1
    assert re.search(r'<meta name="description" content="[^"]{80,200}">', page)
    for address in ("/signup", "/signin", "/docs", "/docs/guide", "/docs/operating", "/status", "/contact"):
        assert f'href="{address}"' in page
        assert (await client.get(address)).status_code == 200
    for anchor in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{anchor}"' in page


async def test_its_links_into_the_docs_lead_to_a_heading(client: httpx.AsyncClient) -> None:
    links = re.findall(r'href="(/docs/[^"#]+)#([^"]+)"', (await client.get("/")).text)
    assert links
    for path, anchor in links:
        assert f'id="{anchor}"' in (await client.get(path)).text


async def test_the_session_is_drawn_with_the_components_of_the_product(client: httpx.AsyncClient) -> None:
    page = (await client.get("/")).text
    assert 'class="change-old"' in page
    assert 'class="verb is-delete"' in page
    assert 'class="code-line is-new"' in page


async def test_all_of_it_is_small(product: ServedProduct, client: httpx.AsyncClient) -> None:
    """The page and everything that it loads, as a browser gets it."""
    page = (await client.get("/")).text
    files = re.findall(r'(?:src|href)="(/static/build/[^"]+)"', page)
    assert len(files) == 4
    total = 0
    for path in ("/", *files):
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: none\r\nAccept-Encoding: gzip, br\r\n\r\n"
        answer = await ask(product.port, request.encode())
        assert answer.status == 200
        total += len(answer.body)
    assert total < ALLOWED_BYTES


async def test_a_signed_in_person_is_led_to_their_connections(owner: httpx.AsyncClient) -> None:
    answer = await owner.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/connections")
