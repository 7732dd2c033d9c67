"""What a project's functions say of their answers: none of it reaches our origin, on either backend."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.fixtures.bench import Bench, Workshop, on_both_backends

pytestmark = on_both_backends

SCRIPT = """
CREATE TABLE items (id int PRIMARY KEY, name text);
INSERT INTO items VALUES (1, 'a');
CREATE DOMAIN "*/*" AS bytea;
CREATE DOMAIN "text/html" AS text;
CREATE DOMAIN "text/javascript" AS text;
CREATE DOMAIN "text/xml" AS text;
CREATE FUNCTION say(headers text DEFAULT '[]', status text DEFAULT '200', body text DEFAULT 'hello')
RETURNS "*/*" LANGUAGE plpgsql STABLE AS $$ BEGIN
  PERFORM set_config('response.headers', headers, true);
  PERFORM set_config('response.status', status, true);
  RETURN convert_to(body, 'UTF8'); END $$;
CREATE FUNCTION write_and_say(headers text DEFAULT '[]', status text DEFAULT '200')
RETURNS int LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO items VALUES (2, 'b');
  PERFORM set_config('response.headers', headers, true);
  PERFORM set_config('response.status', status, true);
  RETURN 1; END $$;
CREATE FUNCTION refuse(headers text, status int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN
  RAISE SQLSTATE 'PGRST' USING
    message = json_build_object('code', 'X1', 'message', 'no')::text,
    detail = json_build_object('status', status, 'headers', headers::json)::text; END $$;
CREATE FUNCTION refuse_by_state(state text) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN
  RAISE EXCEPTION USING errcode = state, message = 'no'; END $$;
CREATE FUNCTION page() RETURNS "text/html" LANGUAGE sql STABLE AS $$ SELECT '<script>render()</script>' $$;
CREATE FUNCTION program() RETURNS "text/javascript" LANGUAGE sql STABLE AS $$ SELECT 'alert(1)' $$;
CREATE FUNCTION feed() RETURNS "text/xml" LANGUAGE sql STABLE AS $$ SELECT '<a/>' $$;
"""
POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"
NAVIGATION = {
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
}
NO_PAGE = {"accept": "text/html", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
OLD_NAVIGATION = {"accept": NAVIGATION["accept"]}


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench(SCRIPT)


async def member_of(bench: Bench) -> httpx.AsyncClient:
    """The owner's cookie, and the address of the data."""
    cookies = dict(bench.person.cookies)
    return await bench.client(f"/api/v/{bench.connection_id}/rest/v1", cookies=cookies)


def spell(*headers: dict[str, str]) -> str:
    return json.dumps(headers)


FORBIDDEN = [
    {"Set-Cookie": "authjs.session-token=attackerfixed; Path=/"},
    {"Clear-Site-Data": '"cookies"'},
    {"Refresh": "0;url=https://evil.example/"},
    {"Link": "</evil.css>; rel=stylesheet"},
    {"Access-Control-Allow-Origin": "https://evil.example"},
    {"access-control-allow-credentials": "true"},
    {"X-Accel-Redirect": "/api/health/live"},
    {"X-Accel-Buffering": "no"},
    {"X-Sendfile": "/etc/passwd"},
    {"Service-Worker-Allowed": "/"},
    {"SourceMap": "/evil"},
    {"Strict-Transport-Security": "max-age=0"},
    {"Upgrade": "websocket"},
    {"Trailer": "Set-Cookie"},
    {"Keep-Alive": "timeout=1"},
    {"Alt-Svc": 'h3="evil.example:443"'},
    {"WWW-Authenticate": "Basic"},
    {"Location": "https://evil.example/"},
    {"Location": "//evil.example/"},
    {"Location": "/\\evil.example/"},
    {"Content-Location": "https://evil.example/"},
    {"Content-Disposition": "inline"},
]
OURS = {
    "Content-Security-Policy": "script-src *",
    "Cache-Control": "public, max-age=999",
    "X-Frame-Options": "ALLOWALL",
    "X-Content-Type-Options": "sniff",
    "X-Request-Id": "theirs",
    "Referrer-Policy": "unsafe-url",
    "Cross-Origin-Opener-Policy": "unsafe-none",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


async def test_a_function_sets_no_header_that_is_not_on_the_list(bench: Bench) -> None:
    agent, member = await bench.agent(access="read"), await member_of(bench)
    for client in (agent.http, member):
        for one in FORBIDDEN:
            answer = await client.get("/rpc/say", params={"headers": spell(one)})
            assert answer.status_code == 200, (one, answer.text)
            (name,) = one
            assert answer.headers.get(name) in (None, "attachment"), one
            assert answer.text == "hello"


async def test_a_function_does_not_choose_how_its_answer_is_encoded(bench: Bench, backend: str) -> None:
    agent = await bench.agent(access="read")
    for coding in ("gzip", "br", "zstd", "x"):
        headers = {"accept-encoding": "identity" if coding == "gzip" else "gzip, br, zstd"}
        answer = await agent.http.get(
            "/rpc/say", params={"headers": spell({"Content-Encoding": coding})}, headers=headers
        )
        assert "content-encoding" not in answer.headers
        if backend == "direct":
            assert answer.text == "hello"
        else:
            assert (answer.status_code, answer.json()["code"]) == (502, "upstream_invalid")


async def test_our_own_headers_win(bench: Bench) -> None:
    member = await member_of(bench)
    answer = await member.get("/rpc/say", params={"headers": spell(*({name: value} for name, value in OURS.items()))})
    plain = await bench.person.get("/api/health")
    for name, value in OURS.items():
        assert answer.headers.get_list(name) != [value], name
        assert len(answer.headers.get_list(name)) == 1, name
    for name in ("cache-control", "x-frame-options", "x-content-type-options", "cross-origin-resource-policy"):
        assert answer.headers[name] == plain.headers[name]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["content-security-policy"] == POLICY


async def test_every_answer_is_sandboxed(bench: Bench) -> None:
    member, agent = await member_of(bench), await bench.agent()
    for client in (member, agent.http):
        for method, path in (
            ("GET", "/items"),
            ("HEAD", "/items"),
            ("GET", "/"),
            ("GET", "/nothing"),
            ("GET", "/rpc/page"),
            ("OPTIONS", "/items"),
            ("POST", "/rpc/refuse"),
            ("PATCH", "/items?id=eq.1"),
        ):
            body = None if method in ("GET", "HEAD", "OPTIONS") else {"headers": "{}", "status": 400, "name": "x"}
            answer = await client.request(method, path, json=body if path != "/items?id=eq.1" else {"name": "x"})
            assert answer.headers["x-content-type-options"] == "nosniff"
            if answer.headers.get("proxy-status") or answer.is_success:
                assert answer.headers["content-security-policy"] == POLICY, (method, path)
    introspected = await bench.person.get(f"/api/v/{bench.connection_id}/introspect")
    assert introspected.headers["content-security-policy"] == POLICY


ACTIVE = {"/rpc/page": "text/html", "/rpc/program": "text/javascript", "/rpc/feed": "text/xml"}


async def test_what_runs_or_renders_is_bytes_to_a_cookie_and_an_attachment_to_a_token(bench: Bench) -> None:
    member, agent = await member_of(bench), await bench.agent(access="read")
    for path, kind in ACTIVE.items():
        answer = await member.get(path, headers={"accept": f"{kind};q=0.9"} if kind != "text/html" else NO_PAGE)
        assert answer.headers["content-type"] == "application/octet-stream", path
        assert answer.headers["content-disposition"] == "attachment"
        answer = await agent.http.get(path, headers={"accept": kind})
        assert answer.headers["content-type"].split(";")[0] == kind, path
        assert answer.headers["content-disposition"] == "attachment"


TYPES = [
    "text/html", "TEXT/HTML", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/pdf", "text/css",
    "application/javascript", "text/javascript;charset=utf-8", "multipart/x-mixed-replace; boundary=x", "application/wasm",
    "message/rfc822", "application/webbundle", "text/plain, text/html", "text/plain;x=,text/html", "text/html;", "text",
    "", "x" * 5000, "application/json\ttext/html", "application/manifest+json", "text/cache-manifest", "text/vtt",
]  # fmt: skip


async def test_any_type_that_is_not_known_to_be_inert_is_bytes(bench: Bench) -> None:
    member = await member_of(bench)
    for chosen in TYPES:
        answer = await member.get("/rpc/say", params={"headers": spell({"Content-Type": chosen})})
        assert answer.headers.get_list("content-type") == ["application/octet-stream"], (chosen, answer.text)
        assert answer.headers["content-disposition"] == "attachment"


async def test_inert_types_pass(bench: Bench) -> None:
    member, agent = await member_of(bench), await bench.agent(access="read")
    for client in (member, agent.http):
        for chosen in ("text/csv; charset=utf-8", "application/json", "text/plain", "application/geo+json"):
            answer = await client.get("/rpc/say", params={"headers": spell({"Content-Type": chosen})})
            assert answer.headers["content-type"] == chosen
            assert "content-disposition" not in answer.headers
        wanted = {"accept": "application/vnd.pgrst.object+json"}
        answer = await client.get("/items?id=eq.1", headers=wanted)
        assert answer.headers["content-type"] == "application/vnd.pgrst.object+json; charset=utf-8"
        assert answer.json() == {"id": 1, "name": "a"}
        assert "content-disposition" not in answer.headers


async def test_a_browser_that_opens_data_sees_text(bench: Bench) -> None:
    member = await member_of(bench)
    embedded = [{"sec-fetch-mode": "no-cors", "sec-fetch-dest": kind} for kind in ("script", "style", "image", "embed")]
    worker = {"sec-fetch-mode": "same-origin", "sec-fetch-dest": "serviceworker", "service-worker": "script"}
    for headers in (NAVIGATION, OLD_NAVIGATION, *embedded, worker):
        for path in (*ACTIVE, "/items", "/"):
            answer = await member.get(path, headers={"accept": ACTIVE.get(path, "*/*"), **headers})
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/plain; charset=utf-8", (headers, path)
            assert answer.headers["content-security-policy"] == POLICY
    fetched = {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
    answer = await member.get("/items", headers=fetched)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_a_file_to_download_keeps_its_name(bench: Bench) -> None:
    member = await member_of(bench)
    chosen = 'attachment; filename="items.csv"'
    answer = await member.get("/rpc/say", params={"headers": spell({"Content-Disposition": chosen})})
    assert answer.headers["content-disposition"] == chosen


async def test_a_redirect_has_no_place_to_go(bench: Bench) -> None:
    member = await member_of(bench)
    for status in (300, 301, 302, 303, 307, 308):
        for place in ("https://evil.example/", "/items?id=eq.1"):
            params = {"headers": spell({"Location": place}), "status": str(status)}
            answer = await member.get("/rpc/say", params=params)
            assert "location" not in answer.headers
            assert answer.headers["x-request-id"]


async def test_the_location_of_a_new_row_is_answered(bench: Bench) -> None:
    agent = await bench.agent()
    answer = await agent.http.post("/items", json={"id": 5}, headers={"prefer": "return=headers-only"})
    assert (answer.status_code, answer.headers["location"]) == (201, "/items?id=eq.5")


async def test_statuses_that_http_does_not_have_are_errors(bench: Bench) -> None:
    agent = await bench.agent(access="read")
    for status in ("0", "99", "100", "101", "103", "199", "600", "999", "999999999", "-1", "x"):
        answer = await agent.http.get("/rpc/say", params={"status": status})
        assert (answer.status_code, answer.json()["code"]) == (500, "PGRST112"), status
        assert answer.headers["x-request-id"]
    for number in (0, 100, 199, 600, 999, 1000):
        answer = await agent.http.get("/rpc/refuse", params={"headers": "{}", "status": str(number)})
        assert (answer.status_code, answer.json()["code"]) == (500, "PGRST121"), number
    for state in ("PT000", "PT100", "PT199", "PT600", "PT999"):
        answer = await agent.http.get("/rpc/refuse_by_state", params={"state": state})
        assert (answer.status_code, answer.json()["code"]) == (500, state)
    assert (await agent.http.get("/rpc/refuse_by_state", params={"state": "PT418"})).status_code == 418


BROKEN = [
    {"A b": "1"}, {"": "1"}, {"A:": "1"}, {"X\r\nSet-Cookie": "a=1"}, {"X": "a\r\nSet-Cookie: b=1"}, {"X": "a\nb"}, {"X": "\x7f"},
]  # fmt: skip


async def test_headers_that_http_does_not_have_are_errors(bench: Bench) -> None:
    agent = await bench.agent(access="read")
    for one in BROKEN:
        answer = await agent.http.get("/rpc/say", params={"headers": spell(one)})
        assert (answer.status_code, answer.json()["code"]) == (500, "PGRST111"), one
        answer = await agent.http.get("/rpc/refuse", params={"headers": json.dumps(one), "status": "400"})
        assert (answer.status_code, answer.json()["code"]) == (500, "PGRST121"), one


async def test_a_write_with_a_status_of_no_kind_is_answered(bench: Bench, backend: str) -> None:
    """On the direct backend it is refused before its commit; a project's own API commits first, and the answer says so."""
    agent = await bench.agent()
    for body in ({"status": "600"}, {"status": "0"}, {"headers": spell({"X\r\n": "1"})}):
        answer = await agent.http.post("/rpc/write_and_say", json=body)
        rows = await bench.rows("DELETE FROM items WHERE id = 2 RETURNING id")
        writes = [await bench.journal(one["id"]) for one in await bench.sessions()]
        states = [write["state"] for one in writes for write in one["writes"]]
        if backend == "direct":
            assert (answer.status_code, answer.json()["code"][:7]) == (500, "PGRST11")
            assert (rows, states) == ([], [])
        else:
            assert (answer.status_code, answer.json()["code"]) == (502, "outcome_unknown")
            assert len(rows) == 1
            assert set(states) == {"unknown"}
        assert answer.headers["x-request-id"]


async def test_a_write_that_is_answered_without_a_body_is_committed_and_recorded(bench: Bench) -> None:
    agent = await bench.agent()
    answer = await agent.http.post("/rpc/write_and_say", json={"status": "204"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["x-basewarden-session"]
    assert len(await bench.rows("SELECT FROM items WHERE id = 2")) == 1


async def test_a_long_header_is_left_out(bench: Bench) -> None:
    agent = await bench.agent(access="read")
    for length in (100, 30_000):
        answer = await agent.http.get(f"/items?name=neq.{'x' * length}")
        assert answer.status_code == 200
        assert ("content-location" in answer.headers) is (length == 100)
    long = {"Content-Disposition": f"attachment; {'x' * 5000}"}
    answer = await agent.http.get("/rpc/say", params={"headers": spell(long)})
    assert "x" not in answer.headers.get("content-disposition", "")


# Over a raw socket --------------------------------------------------------------------------------------


async def exchange(bench: Bench, *targets: str) -> bytes:
    """All that comes back on one connection, with the owner's cookie, until the server closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.product.port)
    cookie = "; ".join(f"{name}={value}" for name, value in bench.person.cookies.items())
    for number, target in enumerate(targets, 1):
        closing = "close" if number == len(targets) else "keep-alive"
        head = f"GET {target} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\nconnection: {closing}\r\n\r\n"
        writer.write(head.encode())
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


SMUGGLED = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 5\r\n\r\nwrong"
SPLITS: list[tuple[str, list[dict[str, str]]]] = [
    ("204", []),
    ("304", []),
    ("204", [{"Content-Length": "10"}]),
    ("204", [{"Transfer-Encoding": "chunked"}]),
    ("200", [{"Transfer-Encoding": "chunked"}]),
    ("200", [{"Transfer-Encoding": "gzip, chunked"}]),
    ("200", [{"Content-Length": "0"}]),
    ("200", [{"Content-Length": "abc"}]),
    ("200", [{"Content-Length": "5"}, {"Content-Length": "6"}]),
    ("200", [{"Connection": "close"}]),
    ("200", [{"Connection": "upgrade"}, {"Upgrade": "h2c"}]),
    ("205", []),
    ("103", []),
    ("101", [{"Connection": "upgrade"}, {"Upgrade": "h2c"}]),
]


async def test_the_next_request_gets_its_own_answer(bench: Bench) -> None:
    for status, headers in SPLITS:
        query = httpx.QueryParams({"status": status, "headers": json.dumps(headers), "body": SMUGGLED})
        data = await exchange(bench, f"/api/v/{bench.connection_id}/rest/v1/rpc/say?{query}", "/api/account")
        first, body, rest = take_answer(data)
        assert first != 200 or body == SMUGGLED.encode(), (status, headers, data)
        second, account, end = take_answer(rest)
        assert (second, end) == (200, b""), (status, headers, data)
        assert "email" in json.loads(account)


def take_answer(data: bytes) -> tuple[int, bytes, bytes]:
    """Status and body of the first answer by the rules of RFC 9112, and what follows it."""
    head, _, rest = data.partition(b"\r\n\r\n")
    start, *lines = head.decode("latin-1").split("\r\n")
    status = int(start.split(" ")[1])
    headers: dict[str, Any] = {}
    for name, _, value in (line.partition(":") for line in lines):
        assert name.lower() not in headers, f"{name} twice"
        headers[name.lower()] = value.strip()
    assert 200 <= status <= 599
    if status in (204, 304):
        assert not {"content-length", "transfer-encoding"} & set(headers)
        return status, b"", rest
    if "transfer-encoding" in headers:
        assert "content-length" not in headers
        body = b""
        while True:
            size, _, rest = rest.partition(b"\r\n")
            body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
            if int(size, 16) == 0:
                return status, body, rest
    length = int(headers["content-length"])
    return status, rest[:length], rest[length:]
