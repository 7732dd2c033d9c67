"""A hostile project and a real Chromium that carries the owner's cookie: nothing of the project's runs, leads away or stays.

The page that loads the project's answers lies at our own origin and has no policy of its own, so what is shown to hold
here holds by the answers alone.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, Route

from tests.fakes.hostile import HostileExchange, be_good, serve_hostile
from tests.fixtures.bench import Backend, Bench, Workshop, on_both_backends

pytestmark = [pytest.mark.browser, on_both_backends]

RAN = "console.log('RAN')"
XHTML = "http://www.w3.org/1999/xhtml"
EVIL = "https://evil.example/"
SET = {
    "Set-Cookie": "authjs.session-token=fixed; Path=/",
    "Refresh": f"0;url={EVIL}",
    "Content-Security-Policy": "default-src * 'unsafe-inline' 'unsafe-eval' data: blob:",
    "X-Frame-Options": "ALLOWALL",
    "X-Content-Type-Options": "sniff",
    "Service-Worker-Allowed": "/",
    "Link": f"<{EVIL}>; rel=preload; as=fetch",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Disposition": "inline",
    "Clear-Site-Data": '"cookies", "storage"',
}
HTML = f"<!doctype html><meta http-equiv=refresh content='0;url={EVIL}'><h1>hello</h1><script>{RAN}</script>"
XML = f'<?xml version="1.0"?><h:html xmlns:h="{XHTML}"><h:h1>hello</h:h1><h:script>{RAN}</h:script></h:html>'
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{RAN}"><script>{RAN}</script><text>hello</text></svg>'
PART = f"--b\r\nContent-Type: text/html\r\n\r\n{HTML}\r\n--b--"
KINDS: dict[str, tuple[str, str]] = {
    "html": ("text/html; charset=utf-8", HTML),
    "xhtml": ("application/xhtml+xml", XML),
    "xml": ("text/xml", XML),
    "svg": ("image/svg+xml", SVG),
    "js": ("text/javascript", RAN),
    "oldjs": ("application/x-javascript", RAN),
    "css": ("text/css", ":root{--painted: yes}"),
    "parts": ("multipart/x-mixed-replace; boundary=b", PART),
    "two": ("text/plain, text/html", HTML),
    "none": ("", HTML),
    "redirect": ("text/html", HTML),
}
PATHS = ("/notes?kind=eq.{}", "/notes_view?kind=eq.{}", "/rpc/say?kind={}", "/?kind=eq.{}")

SCRIPT = """
CREATE DOMAIN "*/*" AS bytea;
CREATE DOMAIN "text/html" AS bytea;
CREATE TABLE notes (id serial PRIMARY KEY, kind text, type text, body text, headers json);
CREATE FUNCTION set_answer(one notes) RETURNS bytea LANGUAGE plpgsql AS $$ BEGIN
  PERFORM set_config('response.headers', one.headers::text, true);
  IF one.kind = 'redirect' THEN PERFORM set_config('response.status', '302', true); END IF;
  RETURN convert_to(one.body, 'UTF8'); END $$;
CREATE VIEW notes_view AS SELECT * FROM notes;
CREATE FUNCTION add_note(state "*/*", one notes) RETURNS "*/*" LANGUAGE sql AS $$ SELECT set_answer(one)::"*/*" $$;
CREATE FUNCTION add_view(state "*/*", one notes_view) RETURNS "*/*" LANGUAGE sql AS
  $$ SELECT set_answer((SELECT notes FROM notes WHERE notes.id = one.id))::"*/*" $$;
CREATE AGGREGATE notes_answer(notes) (sfunc = add_note, stype = "*/*", initcond = '');
CREATE AGGREGATE view_answer(notes_view) (sfunc = add_view, stype = "*/*", initcond = '');
CREATE FUNCTION say(kind text) RETURNS "*/*" LANGUAGE sql STABLE AS
  $$ SELECT set_answer((SELECT notes FROM notes WHERE notes.kind = say.kind))::"*/*" $$;
"""


def list_headers(kind: str) -> dict[str, str]:
    chosen = {"Content-Type": KINDS[kind][0]} if KINDS[kind][0] else {}
    return {**SET, **chosen, **({"Location": EVIL} if kind == "redirect" else {})}


async def be_hostile(turn: HostileExchange) -> None:
    """Whatever is asked, by whatever method: the kind that the query names."""
    kind = turn.heard.target.partition("kind=")[2].removeprefix("eq.").partition("&")[0]
    if kind not in KINDS:
        await be_good(turn)
        return
    body = KINDS[kind][1].encode()
    headers = {**list_headers(kind), "Content-Length": str(len(body)), "Content-Range": "0-0/*"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    status = 302 if kind == "redirect" else 200
    await turn.send(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + (b"" if turn.heard.method == "HEAD" else body))


@pytest.fixture
async def bench(workshop: Workshop, backend: Backend) -> AsyncIterator[Bench]:
    if backend == "api":
        async with serve_hostile(be_hostile) as hostile:
            yield await workshop.connect({"url": hostile.url, "key": "sb_secret_0123456789abcdef0123"})
        return
    bench = await workshop.bench(SCRIPT)
    for kind, (media, body) in KINDS.items():
        headers = json.dumps([{name: value} for name, value in list_headers(kind).items()])
        row = (kind, media, body, headers)
        await bench.admin.execute("INSERT INTO notes (kind, type, body, headers) VALUES (%s, %s, %s, %s)", row)
    yield bench


@dataclass
class OpenedPage:
    """A context with the owner's cookie, and what went wrong in it."""

    bench: Bench
    context: BrowserContext
    page: Page
    wrong: list[str] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"{self.bench.product.settings.origin}/api/v/{self.bench.connection_id}/rest/v1"

    def urls(self, *kinds: str) -> list[str]:
        return [self.base + path.format(kind) for path in PATHS for kind in kinds or KINDS]

    async def load(self, script: str, *arguments: Any) -> Any:
        """On an empty page at our origin without a policy."""
        await self.page.goto(f"{self.bench.product.settings.origin}/canvas")
        return await self.page.evaluate(script, *arguments)

    async def check(self) -> None:
        """No script ran, nothing went to another host, and the cookies are those that were there."""
        origin = self.bench.product.settings.origin
        cookies = {one.get("name"): one.get("value") for one in await self.context.cookies(origin)}
        assert cookies == dict(self.bench.person.cookies)
        assert self.wrong == []


@pytest.fixture
async def opened(browser: Browser, bench: Bench) -> AsyncIterator[OpenedPage]:
    origin = bench.product.settings.origin
    async with await browser.new_context(base_url=origin) as context:
        cookies = [{"name": name, "value": value, "url": origin} for name, value in bench.person.cookies.items()]
        await context.add_cookies(cookies)  # type: ignore[arg-type]  # its TypedDict is not exported by that name
        opened = OpenedPage(bench, context, await context.new_page())

        def hear(message: ConsoleMessage) -> None:
            if message.text == "RAN":
                opened.wrong.append(f"a script ran at {message.location.get('url')}")

        def see(request: Request) -> None:
            if request.url.startswith(EVIL):
                opened.wrong.append(f"asked {request.url}")

        async def show_canvas(route: Route) -> None:
            await route.fulfill(content_type="text/html", body="<!doctype html><title>canvas</title>")

        context.on("console", hear)
        context.on("request", see)
        await context.route("**/canvas", show_canvas)
        yield opened


async def test_opened_by_its_address_it_is_text(opened: OpenedPage) -> None:
    for url in opened.urls():
        answer = await opened.page.goto(url, wait_until="load")
        assert answer is not None
        assert opened.page.url == url
        shown = await opened.page.evaluate("document.contentType")
        assert shown == "text/plain" or "upstream_invalid" in await answer.text(), url  # an error of ours is JSON
        assert answer.headers["x-frame-options"] == "DENY"
    await opened.check()


EMBED = """async ([tag, attribute, urls]) => {
  const ends = urls.map(url => new Promise(done => {
    const element = document.createElement(tag);
    if (tag === 'link') element.rel = 'stylesheet';
    if (tag === 'script' && url.includes('oldjs')) element.type = 'module';
    element.onload = () => done('loaded'); element.onerror = () => done('failed');
    setTimeout(() => done('neither'), 800);
    element[attribute] = url;
    document.body.append(element);
  }));
  await Promise.all(ends);
  return getComputedStyle(document.documentElement).getPropertyValue('--painted');
}"""


@pytest.mark.parametrize(
    ("tag", "attribute"), [("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("embed", "src"), ("object", "data")]
)  # fmt: skip
async def test_no_element_runs_paints_or_frames_it(opened: OpenedPage, tag: str, attribute: str) -> None:
    for path in PATHS:
        urls = [opened.base + path.format(kind) for kind in KINDS]
        painted = await opened.load(EMBED, [tag, attribute, urls])
        assert painted == "", path
        for frame in opened.page.frames[1:]:
            assert "hello" not in await read_frame(frame)
        await opened.check()


async def read_frame(frame: Any) -> str:
    try:
        return str(await frame.evaluate("document.documentElement.outerHTML"))
    except Error:
        return ""  # an error page of the browser's own


WORK = """async urls => {
  const began = [];
  for (const url of urls) {
    try { await navigator.serviceWorker.register(url); began.push(`service ${url}`); } catch {}
    try { await import(url); began.push(`module ${url}`); } catch {}
    for (const options of [{}, {type: 'module'}])
      for (const make of [Worker, SharedWorker])
        await new Promise(done => {
          const worker = new make(url, options);
          worker.onerror = event => { event.preventDefault(); done(); };
          setTimeout(done, 150);
        });
  }
  return [began, (await navigator.serviceWorker.getRegistrations()).length];
}"""


async def test_no_worker_begins(opened: OpenedPage) -> None:
    assert await opened.load(WORK, opened.urls("js", "oldjs")) == [[], 0]
    await opened.check()


FETCH = """async ([urls, methods]) => {
  const ask = async (method, url) => {
    const body = ['GET', 'HEAD', 'DELETE'].includes(method) ? undefined : '{}';
    const headers = {'content-type': 'application/json', prefer: 'return=representation'};
    const answer = await fetch(url, {method, body, headers, redirect: 'error'});
    return [method, url, answer.status, answer.headers.get('content-type') ?? '', (await answer.text()).length];
  };
  return Promise.all(urls.flatMap(url => methods.map(method => ask(method, url))));
}"""
INERT = ("application/json", "application/octet-stream", "text/plain", "application/openapi+json", "")


async def test_a_fetch_by_any_method_gets_data(opened: OpenedPage) -> None:
    reads = await opened.load(FETCH, [opened.urls(), ["GET", "HEAD"]])
    writes = await opened.load(FETCH, [opened.urls("html", "js", "redirect"), ["POST", "PATCH", "PUT", "DELETE"]])
    for method, url, status, kind, length in reads + writes:
        assert kind.split(";")[0] in INERT, (method, url, kind)
        assert length > 0 or method == "HEAD" or status in (200, 201, 204), (method, url)
    await opened.check()


SUBMIT = """([action, method]) => {
  const form = document.createElement('form');
  Object.assign(form, {action, method});
  const [, query] = action.split('?');
  const [name, value] = query.split('=');
  form.append(Object.assign(document.createElement('input'), {name, value}));
  document.body.append(form);
  form.submit();
}"""


async def test_a_form_of_ours_leads_to_text(opened: OpenedPage) -> None:
    for url in opened.urls("html", "none", "redirect"):
        for method in ("POST", "GET"):
            async with opened.page.expect_event("load", lambda page: "/api/v/" in page.url):
                await opened.load(SUBMIT, [url, method])
            assert opened.page.url.startswith(opened.base)
            assert await opened.page.evaluate("document.contentType") in ("text/plain", "application/json"), url
    await opened.check()


async def test_a_page_of_ours_still_reads_rows(opened: OpenedPage) -> None:
    """What supabase-js does in a browser, which sends what fetch() sends."""
    read = "async url => { const answer = await fetch(url); return [answer.headers.get('content-type'), await answer.json()] }"
    kind, rows = await opened.load(read, f"{opened.base}/notes?select=id&limit=1")
    assert (kind, rows) == ("application/json; charset=utf-8", [{"id": 1}])
