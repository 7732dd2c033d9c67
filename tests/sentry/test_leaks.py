"""The leak scan through the product: of a text and of a site, and that nothing of either is kept."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from basewarden.errors import TooMany
from basewarden.sentry.leaks import site as site_module
from basewarden.sentry.leaks.fetching import SiteFetchError
from basewarden.sentry.leaks.references import MOST_REFERENCES, list_page_scripts, list_script_parts
from basewarden.sentry.leaks.service import LeakScans
from basewarden.sentry.leaks.site import MOST_FILES, SiteScan
from basewarden.sentry.leaks.site_urls import find_site, is_same_site, parse_site_url
from tests.fixtures.app import read_refusal
from tests.fixtures.bench import Bench, Workshop
from tests.sentry.test_leak_shapes import ANON, MAP, SECRET, SERVICE, URL

SCRIPT = "text/javascript"


@dataclass
class FakeSite:
    """Answers what `files` say: a type of content and a body, or a redirect's target."""

    files: Mapping[str, tuple[str, bytes] | str] = field(default_factory=dict)
    port: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        self.asked.append(path)
        found = self.files.get(path, ("", b""))
        if isinstance(found, str):
            writer.write(f"HTTP/1.1 302 Found\r\nlocation: {found}\r\ncontent-length: 0\r\n\r\n".encode())
        else:
            kind, body = found
            status = "200 OK" if kind else "404 Not Found"
            coding = "content-encoding: gzip\r\n" if body.startswith(b"\x1f\x8b") else ""
            head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{coding}content-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def serve_site(files: Mapping[str, tuple[str, bytes] | str]) -> AsyncIterator[FakeSite]:
    site = FakeSite(files)
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()


def page(*scripts: str, more: str = "") -> tuple[str, bytes]:
    tags = "".join(f'<script defer src="{one}"></script>' for one in scripts)
    return "text/html; charset=utf-8", f"<!doctype html><title>Shop</title>{tags}{more}".encode()


def script(text: str) -> tuple[str, bytes]:
    return SCRIPT, text.encode()


async def look_through(files: Mapping[str, tuple[str, bytes] | str], path: str = "/") -> SiteScan:
    async with serve_site(files) as site:
        scan = SiteScan(allow_private=True)
        await scan.run(parse_site_url(site.url + path))
    return scan


async def test_scripts_their_parts_and_maps_are_looked_through() -> None:
    scan = await look_through(
        {
            "/": "/home",
            "/home": page("/a.js?v=1", "https://other.example/b.js", "/gone.js", more=f"<script>k='{ANON}'</script>"),
            "/a.js?v=1": script('import("./part.js");x=["static/deep.js"];\n//# sourceMappingURL=maps/a.map'),
            "/part.js": (SCRIPT, gzip.compress(f"k = '{SERVICE}'".encode())),
            "/static/deep.js": script(f"db = '{URL}'"),
            "/maps/a.map": ("application/json", MAP.encode()),
            "/static/deep.js.map": page(),
        }
    )
    report = scan.report
    found = {one.file.rpartition("/")[2] if "map" not in one.file else one.file: one.kind for one in report.leaks}
    assert sorted(found.values()) == ["database_url", "service_role_key", "supabase_secret_key"]
    assert {one.kind for one in report.allowed} == {"anon_key"}
    assert any(one.file.endswith("/maps/a.map: src/a.ts") for one in report.leaks)
    skipped = {one.name.rpartition("/")[2]: one.reason for one in report.skipped}
    assert skipped == {"b.js": "It is of another site.", "gone.js": "The site answered 404."}
    assert report.unfinished is None
    assert all("?" not in name for name in report.files)


async def test_a_map_that_nothing_names_is_found_beside_its_script() -> None:
    files = {"/": page("app.js"), "/app.js": script("let a"), "/app.js.map": ("application/json", MAP.encode())}
    assert [one.kind for one in (await look_through(files)).report.leaks] == ["supabase_secret_key"]


async def test_a_site_without_end_is_cut() -> None:
    many = {f"/{n}.js": script(f'import "./{n + 1}.js"; import "./{n + 1000}.js"') for n in range(2_000)}
    scan = await look_through({"/": page("/0.js"), **many})
    assert scan.report.unfinished
    assert len(scan.report.files) <= MOST_FILES


async def test_scripts_behind_hundreds_of_others_are_not_left_out_in_silence() -> None:
    others = [f"https://{n}.other.example/x.js" for n in range(600)]
    scan = await look_through({"/": page(*others, "/app.js"), "/app.js": script(f"k = '{SECRET}'")})
    assert scan.report.leaks or scan.report.unfinished


async def test_compressed_files_count_by_what_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "MOST_BYTES", 100_000)
    bombs = {f"/{n}.js": (SCRIPT, gzip.compress(b" " * 90_000)) for n in range(20)}
    scan = await look_through({"/": page(*bombs), **bombs})
    assert scan.report.unfinished
    assert scan.report.characters < 500_000


def test_references_of_a_hostile_page_are_bounded() -> None:
    """It takes a minute where a pattern looks further than its tag."""
    site = parse_site_url("https://a.example.com/")
    for found in (
        list_page_scripts(site, "".join(f"<script src={n}.js>" for n in range(9_000))),
        list_script_parts(site, "".join(f'"{n}.js"' for n in range(9_000))),
    ):
        assert (len(found.urls), found.is_cut) == (MOST_REFERENCES, True)
    for hostile in ("<link ", '<script src="', "<script src='src=\"", '<script src="<link href=x.js'):
        assert len(list_page_scripts(site, hostile * (4_000_000 // len(hostile))).urls) <= 1
    tag = "<link rel=modulepreload\n crossorigin href='/a.js?v=1'>"
    apart = " " * 65_500  # on both sides of where a piece ends
    for text in (tag, apart + tag, apart + " " * 20 + tag):
        assert [str(one) for one in list_page_scripts(site, text).urls] == ["https://a.example.com/a.js?v=1"]


async def test_what_cannot_be_read_is_said() -> None:
    for files, reason in (
        ({}, "answered 404"),
        ({"/": "/"}, "redirects too often"),
        ({"/": "ftp://x.example/"}, "is not asked"),
        ({"/": "http://user:pass@x.example/"}, "is not asked"),
    ):
        with pytest.raises(SiteFetchError, match=reason):
            await look_through(files)


async def test_private_addresses_are_refused_also_behind_a_name_and_a_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve_site({"/": page()}) as site:
        for address in (f"http://127.0.0.1:{site.port}/", "http://127.0.0.1/", "http://localhost/", "http://[::1]/"):
            with pytest.raises(SiteFetchError):
                await SiteScan(allow_private=False).run(parse_site_url(address))
        for address in ("http://169.254.169.254/latest", "http://10.0.0.1/", "https://[::ffff:7f00:1]/"):
            with pytest.raises(SiteFetchError, match="private or reserved"):
                await SiteScan(allow_private=False).run(parse_site_url(address))
    assert site.asked == []


def test_addresses_and_sites() -> None:
    assert str(parse_site_url(" app.example.com/a b".replace(" b", ""))) == "https://app.example.com/a"
    assert parse_site_url("https://x.com/a?token=1").name == "https://x.com/a"
    for bad in (
        "",
        "shop",
        "ftp://x.com",
        "https://u:p@x.com",
        "https://x.com:0x/",
        "https://",
        "http://a b.com",
        "\n",
    ):
        with pytest.raises(ValueError, match=r"\w"):
            parse_site_url(bad)
    assert is_same_site("www.shop.com", "cdn.shop.com")
    assert is_same_site("shop.co.uk", "cdn.shop.co.uk")
    assert not is_same_site("a.co.uk", "b.co.uk")
    assert not is_same_site("a.vercel.app", "b.vercel.app")
    assert not is_same_site("10.0.0.1", "11.0.0.1")
    assert not is_same_site("shop.com", "shop.com.evil.net")
    assert find_site("localhost") is None


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench("")


async def test_a_text_by_the_api(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    here = f"/api/connections/{bench.connection_id}/sentry/leaks"
    answer = await bench.person.post(f"{here}/text", json={"text": f"a\nkey={SECRET}\n{ANON}"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["status"] == "leaks"
    (leak,) = found["leaks"]
    assert (leak["kind"], leak["line"], leak["column"], leak["start"]) == ("supabase_secret_key", 2, 5, "sb_sec")
    assert leak["length"] == len(SECRET)
    assert found["allowed"][0]["kind"] == "anon_key"
    clean = await bench.person.post(f"{here}/text", json={"text": "nothing"})
    assert (clean.json()["status"], clean.json()["leaks"]) == ("clean", [])
    large = await bench.person.post(f"{here}/text", json={"text": f"{SECRET} {'x' * 2_000_001}"})
    assert read_refusal(large) == (422, "validation_failed")
    wrong = await bench.person.post(f"{here}/text", json={"txt": SECRET})
    assert wrong.status_code == 422
    larger = await bench.person.post(f"{here}/text", json={"text": SECRET * 300_000})
    assert larger.status_code == 413
    for one in (answer, large, wrong, larger):
        assert SECRET[6:] not in one.text
    logged = capfd.readouterr()
    assert SECRET[6:] not in logged.out + logged.err


async def test_who_comes_while_others_are_looked_through_does_not_wait(bench: Bench) -> None:
    """All who came at once passed the check, and then waited for each other, 25 seconds a site."""
    scans = bench.product.registry.get(LeakScans)
    connection = UUID(bench.connection_id)
    answers = await asyncio.gather(*(scans.scan_text(connection, "a") for _ in range(6)), return_exceptions=True)
    assert [isinstance(one, TooMany) for one in answers] == [False, False, True, True, True, True]
    assert (await scans.scan_text(connection, "a")).files


async def test_a_site_by_the_api_is_the_owners(bench: Bench) -> None:
    here = f"/api/connections/{bench.connection_id}/sentry/leaks"
    async with serve_site({"/": page("/a.js"), "/a.js": script(f"k='{SECRET}'")}) as site:
        answer = await bench.person.post(f"{here}/site", json={"url": site.url})
        assert [one["file"] for one in answer.json()["leaks"]] == [f"{site.url}/a.js"]
        editor = await bench.member("editor")
        assert (await editor.post(f"{here}/site", json={"url": site.url})).status_code == 403
        assert (await editor.post(f"{here}/text", json={"text": "x"})).status_code == 200
        stranger = await bench.product.sign_up("leak-stranger@example.com")
        assert (await stranger.post(f"{here}/text", json={"text": "x"})).status_code == 404
    away = await bench.person.post(f"{here}/site", json={"url": site.url})
    assert read_refusal(away) == (422, "validation_failed")


async def test_the_page_shows_what_was_found_and_never_the_text(bench: Bench) -> None:
    here = f"/c/{bench.connection_id}/sentry/leaks"
    empty = await bench.person.get(here)
    assert "Nothing is stored" in empty.text
    answer = await bench.person.post(f"{here}/text", data={"text": f"key={SECRET}\n{URL}\n{ANON}"})
    assert answer.status_code == 200
    for text in ("2 secrets found", "Supabase secret key", "sb_sec…", "What to do now", "Database URL", "anon key"):
        assert text in answer.text, text
    for secret in (SECRET, URL, ANON):
        assert secret[8:30] not in answer.text
    large = {"text": (None, f"{SECRET} {'x' * 2_000_000}")}  # as a browser sends the form
    refused = await bench.person.post(f"{here}/text", files=large)
    assert refused.status_code == 422
    assert "At most 2,000,000 characters" in refused.text
    assert SECRET[8:] not in refused.text
    none = await bench.person.post(f"{here}/text", data={"text": "nothing here"})
    assert "No secret found" in none.text
    typed = await bench.person.post(f"{here}/site", data={"url": "ftp://shop.example"})
    assert typed.status_code == 422
    assert 'value="ftp://shop.example"' in typed.text
    async with serve_site({"/": page("/a.js", "//cdn.other.example/b.js"), "/a.js": script("let a")}) as site:
        found = await bench.person.post(f"{here}/site", data={"url": site.url})
    assert "No secret found" in found.text
    assert "It is of another site." in found.text
