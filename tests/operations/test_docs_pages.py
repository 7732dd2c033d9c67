"""The pages of `/docs`: every document is there, every link leads somewhere, and the search finds what is in them."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path, PurePosixPath
from urllib.parse import urldefrag, urljoin

import httpx
import pytest

from basewarden import __version__
from basewarden.operations.manual import SHELVES, read_manual
from basewarden.operations.manual.library import find_documents, list_documents
from basewarden.operations.manual.search import SearchEntry, SearchIndex, mark_words
from basewarden.web.markdown import make_slug, render_markdown
from scripts.documents import copy_documents
from tests.fixtures.app import ServedProduct
from tests.rules.sources import CHECKOUT

START = ("/docs", "/docs/search?q=undo")
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"
LONGEST_PAGE = 160_000


class LinkCollector(HTMLParser):
    """The links and the ids of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")
        if values.get("id"):
            self.ids.append(values["id"] or "")


def read_page(text: str) -> LinkCollector:
    found = LinkCollector()
    found.feed(text)
    return found


async def test_every_link_of_the_docs_leads_to_a_page_and_a_place_on_it(client: httpx.AsyncClient) -> None:
    waiting, pages, wanted = list(START), dict[str, LinkCollector](), set[tuple[str, str, str]]()
    while waiting:
        path = waiting.pop()
        answer = await client.get(path)
        assert answer.status_code == 200, path
        assert len(answer.content) < LONGEST_PAGE, path
        pages[path] = read_page(answer.text)
        assert len(pages[path].ids) == len(set(pages[path].ids)), path
        for link in pages[path].links:
            target, anchor = urldefrag(urljoin(path, link))
            if target.startswith("/docs"):
                wanted.add((path, target, anchor))
                if target not in pages and target not in waiting and "/search" not in target:
                    waiting.append(target)
    assert {document.href for document in list_documents()} < set(pages)
    assert len([path for path in pages if path.startswith("/docs/api/")]) > 5
    assert [one for one in wanted if one[2] and one[2] not in pages[one[1]].ids] == []


async def test_links_to_other_pages_work(client: httpx.AsyncClient) -> None:
    pages = [(await client.get(document.href)).text for document in list_documents()]
    links = {link for page in pages for link in read_page(page).links if link.startswith("/")}
    others = {urldefrag(link)[0] for link in links if not link.startswith("/docs")}
    assert {"/", "/status", "/contact"} <= others
    for link in others:
        assert (await client.get(link)).status_code in (200, 303), link


async def test_a_page_shows_its_own_address_in_the_examples(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs/guide")).text
    assert "/api/v/&lt;connection&gt;" in page
    assert f"part of Basewarden {__version__}," in page
    assert "localhost:8000" not in page


async def test_the_reference_shows_its_own_address_in_its_first_example(
    client: httpx.AsyncClient, product: ServedProduct
) -> None:
    page = (await client.get("/docs/api")).text
    assert f"{product.settings.origin}/api/v/" in page
    assert "localhost:8000" not in page


async def test_a_word_finds_what_is_written_about_it_before_endpoints(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs/search", params={"q": "freeze"})).text.partition('class="docs-results"')[2]
    hrefs = [link for link in read_page(page).links if "#" in link]
    assert not any(link.startswith("/docs/api/") for link in hrefs[:3])
    assert any(link.startswith("/docs/api/") for link in hrefs)
    assert not any(link.startswith("/docs/routes") for link in hrefs)
    assert "}/<wbr>" in page


@pytest.mark.parametrize("path", ["/docs/nothing", "/docs/api/nothing", "/docs/guide.md", "/docs/..%2f..%2fREADME"])
async def test_what_is_no_document_is_404(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


def test_each_document_is_a_file_of_the_checkout() -> None:
    assert find_documents() == CHECKOUT / "docs"
    missing = [one.file for one in list_documents() if one.file and not (CHECKOUT / "docs" / one.file).exists()]
    assert missing == []
    assert all(len(shelf.documents) in (3, 4) for shelf in SHELVES)


def test_a_wheel_has_the_documents(tmp_path: Path) -> None:
    copy_documents(CHECKOUT, tmp_path)
    copied = tmp_path / "basewarden" / "operations" / "manual" / "documents"
    for document in list_documents():
        if document.file:
            assert (copied / document.file).read_bytes() == (CHECKOUT / "docs" / document.file).read_bytes()


def test_headings_of_the_documents_are_steps_without_gaps() -> None:
    for page in read_manual("https://example.com").pages:
        levels = [1, *(heading.level for heading in page.rendering.headings)]
        assert [level for before, level in pairwise(levels) if level > before + 1] == []


def test_markup_in_a_document_is_text() -> None:
    text = f"# T {HOSTILE}\n\n## H {HOSTILE}\n\n{HOSTILE}\n\n| `{HOSTILE}` |\n|-|\n| {HOSTILE} |\n\n```js\n{HOSTILE}\n```\n"
    text += '[a](javascript:alert(1)) [b](other.md) ![c](x.png) [d](<"><script>>)\n'
    page = render_markdown(text, PurePosixPath(), {})
    html = "".join([page.title, *(f"{block.html}{[one.html for one in block.samples]}" for block in page.blocks)])
    assert "<script" not in html
    assert "<img src=x" not in html
    assert 'href="javascript' not in html
    assert "&lt;script&gt;" in html


def test_a_link_to_a_file_without_a_page_is_text_and_others_are_pointed_at_the_page() -> None:
    links = {"security.md": "/docs/security"}
    page = render_markdown("[a](../security.md#limits) [b](gone.md) [c](#x)", PurePosixPath("reference"), links)
    assert page.blocks[0].html == ('<p><a href="/docs/security#limits">a</a> <span>b</span> <a href="#x">c</a></p>\n')


def test_slugs_are_those_of_github_without_the_number_in_front() -> None:
    assert make_slug("3. Create an agent") == "create-an-agent"
    assert make_slug("`basewarden rest`: a server, v1.2") == "basewarden-rest-a-server-v12"
    page = render_markdown("## A\n\n## A\n\n| `A` |\n|-|\n| `A` |\n", PurePosixPath(), {})
    assert [heading.slug for heading in page.headings] == ["a", "a-1"]


def test_a_row_of_a_table_has_an_address_and_its_cells_are_found_apart() -> None:
    page = render_markdown(
        "| Code | Status |\n|-|-|\n| `too_large` | 413 `x` |\n| [`a`](#b) | 1 |\n", PurePosixPath(), {}
    )
    html = str(page.blocks[0].html)
    assert '<tr id="too_large">\n<td><a class="heading-link" href="#too_large"><code>too_large</code></a></td>' in html
    assert "413 <code>x</code>" in html
    assert '<td><a href="#b"><code>a</code></a></td>' in html
    assert [(one.slug, one.title, one.text) for one in page.sections if one.is_name] == [
        ("too_large", "too_large", "Status: 413 x"),
        ("a", "a", "Status: 1"),
    ]


def test_paragraphs_rows_and_code_are_searched_apart() -> None:
    text = (
        "## Undo\n\nOne.\nTwo.\n\n| what | limit |\n|-|-|\n| time of\tan undo | 600 s |\n| rows | |\n\n```\na\nb\n```\n"
    )
    section = render_markdown(text, PurePosixPath(), {}).sections[-1]
    assert section.text.split("\n") == ["One. Two.", "time of an undo · limit: 600 s", "rows", "a b"]


async def test_the_search_finds_sections_settings_errors_and_operations(client: httpx.AsyncClient) -> None:
    for words, href in (
        ("break something", "/docs/guide#break-something-and-undo-it"),
        ("BASEWARDEN_ORIGIN", "/docs/settings#basewarden_origin"),
        ("row_limit", "/docs/errors#row_limit"),
        ("post undo", "/docs/api/sessions#post-api-connections-connection-id-sessions-session-id-undo"),
        ("paging", "/docs/api#paging"),
    ):
        page = await client.get("/docs/search", params={"q": words})
        assert page.status_code == 200
        hits = [link for link in read_page(page.text.partition('class="docs-results"')[2]).links if "#" in link]
        assert href in hits[:3], (words, hits)
        part = await client.get("/docs/search", params={"q": words}, headers={"HX-Request": "true"})
        assert href in read_page(part.text).links
        assert "<html" not in part.text


@pytest.mark.parametrize(
    "words", ["", "   ", "zebra-without-stripes", HOSTILE, "x" * 10_000, "%00\u202e'\"", ". * + ( ["]
)
async def test_any_words_are_answered_with_a_page(client: httpx.AsyncClient, words: str) -> None:
    for headers in ({}, {"HX-Request": "true"}):
        answer = await client.get("/docs/search", params={"q": words}, headers=headers)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text


def test_a_title_counts_more_than_text_and_every_word_must_be_there() -> None:
    index = SearchIndex(
        [
            SearchEntry("/a", "Guide", "Other", "undo a session, far below"),
            SearchEntry("/b", "Guide", "Undo", "of a session"),
            SearchEntry("/c", "Guide", "Undo", "alone"),
        ]
    )
    assert [one.href for one in index.find("undo session", 9)] == ["/b", "/a"]
    assert [one.href for one in index.find("undo", 2)] == ["/b", "/c"]
    internal = SearchEntry("/d", "Architecture", "Undo", "undo", is_internal=True)
    used = SearchEntry("/e", "Guide", "Undo it", "")
    assert [one.href for one in SearchIndex([internal, used]).find("undo", 9)] == ["/e", "/d"]


def test_an_excerpt_is_whole_sentences_around_the_words() -> None:
    long = f"{'before ' * 40}undo {'after ' * 40}".strip()
    index = SearchIndex(
        [
            SearchEntry(
                "/a", "Guide", "A", "First one.\nThe session ends. Then undo it. Calm.\nmore: undo", within="Start"
            ),
            SearchEntry("/b", "HTTP API", "/api/undo", long, method="POST", is_name=True),
        ]
    )
    sentence, endpoint = index.find("undo", 2)
    assert (sentence.place, sentence.excerpt) == (("Guide", "Start"), "Then <mark>undo</mark> it. Calm.")
    assert (endpoint.method, endpoint.title) == ("POST", "/api/<mark>undo</mark>")
    assert re.fullmatch(r"… (before )+<mark>undo</mark>( after)+ …", endpoint.excerpt)
    assert [one.href for one in index.find("post undo", 2)] == ["/b"]


def test_marks_are_around_the_words_and_all_else_is_escaped() -> None:
    assert mark_words("<b> & undo UNDOes", ["undo", "b"]) == (
        "&lt;<mark>b</mark>&gt; &amp; <mark>undo</mark> <mark>UNDO</mark>es"
    )
    assert mark_words("UndoTarget redo_undo", ["undo"]) == "UndoTarget redo_<mark>undo</mark>"
