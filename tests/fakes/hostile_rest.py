"""A project's API that means harm, each way under a name: see BEHAVIOURS and DESCRIPTIONS.

`python -m tests.fakes.hostile_rest` says in one line of JSON which ports it serves: that of "" is a good project, but
for requests that name a behaviour as `harm.NAME`; each other is a good project until `/turn` is asked of it, and
describes itself by that name from then on.
"""

import asyncio
import gzip
import json
import re
import socket
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import AsyncExitStack

from tests.fakes.hostile import DESCRIPTION, Behave, HostileExchange, always, be_good, make_answer, serve_hostile

_NAMED = re.compile(r"harm\.([a-z0-9_]+)")
_PAGE = b"<html><script src=https://hostile.invalid></script></html>"
_OK = b"HTTP/1.1 200 OK\r\n"
_JSON = _OK + b"content-type: application/json\r\n"
_CHUNKED = _JSON + b"transfer-encoding: chunked\r\n\r\n"
_CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"
_ROWS = b'[{"id":1}]'
_EVIL_HEADERS = {
    "set_cookie": "authjs.session-token=hostile; Path=/",
    "content_security_policy": "script-src hostile.invalid",
    "refresh": "0;url=https://hostile.invalid/",
    "clear_site_data": '"hostile"',
    "access_control_allow_origin": "https://hostile.invalid",
    "x_accel_redirect": "/hostile",
    "link": "<https://hostile.invalid>; rel=preload",
    "content_location": "https://hostile.invalid/",
    "strict_transport_security": "max-age=0; hostile",
    "x_frame_options": "ALLOWALL hostile",
}


def _ended(*lines: str, body: bytes = b"") -> Behave:
    """An answer of any lines, whose connection ends after it."""
    return always("\r\n".join([*lines, "", ""]).encode("latin-1") + body, closes=True)


def _endless(start: bytes, piece: bytes) -> Behave:
    async def pour(turn: HostileExchange) -> None:
        await turn.send(start)
        while True:
            await turn.send(piece)

    return pour


def _drip(start: bytes, piece: bytes, seconds: float = 0.2) -> Behave:
    async def drip(turn: HostileExchange) -> None:
        await turn.send(start)
        while True:
            for number in range(len(piece)):
                await turn.send(piece[number : number + 1])
                await asyncio.sleep(seconds)

    return drip


async def _stay_silent(turn: HostileExchange) -> None:
    await turn.gone()


def _reset_after(data: bytes) -> Behave:
    async def reset(turn: HostileExchange) -> None:
        await turn.send(data)
        own: socket.socket = turn.writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        turn.writer.transport.abort()

    return reset


def _bomb(kind: str) -> bytes:
    """50 MB of nothing, small."""
    zeros = b"0" * 50_000_000
    return gzip.compress(zeros, 9) if kind == "gzip" else zlib.compress(zeros, 9)


def _chunks_of(size: str) -> bytes:
    return _CHUNKED + size.encode() + b"\r\n[]\r\n0\r\n\r\n"


def _with_status(status: str) -> Behave:
    return _ended(f"HTTP/1.1 {status}", "content-type: application/json", "content-length: 2", body=b"{}")


BEHAVIOURS: dict[str, Behave] = {
    "silent": _stay_silent,
    "endless_body": _endless(_CHUNKED, _CHUNK),
    "endless_error": _endless(_CHUNKED.replace(b"200 OK", b"400 X"), _CHUNK),
    "endless_small_chunks": _endless(_CHUNKED, b"1\r\nx\r\n" * 10_000),
    "endless_extensions": _endless(_CHUNKED, b"1;" + b"e" * 60_000 + b"\r\nx\r\n"),
    "endless_trailers": _endless(_CHUNKED + b"0\r\n", b"t: " + b"x" * 5000 + b"\r\n"),
    "endless_head": _endless(_OK, b"x-hostile: " + b"h" * 5000 + b"\r\n"),
    "endless_first_line": _endless(b"HTTP/1.1 200 ", b"hostile " * 1000),
    "endless_interim": _endless(b"", b"HTTP/1.1 102 X\r\nx-hostile: 1\r\n\r\n" * 100),
    "head_drips": _drip(_OK, b"x: hostile\r\n"),
    "body_drips": _drip(_JSON + b"content-length: 100000\r\n\r\n", b"[1,"),
    "chunks_drip": _drip(_CHUNKED, b"1\r\n \r\n"),
    "says_gigabytes": _endless(_JSON + b"content-length: 99999999999\r\n\r\n", b"x" * 65536),
    "length_beyond_numbers": _ended("HTTP/1.1 200 X", f"content-length: {'9' * 40}", body=_ROWS),
    "negative_length": _ended("HTTP/1.1 200 X", "content-length: -1", body=_ROWS),
    "two_lengths": _ended("HTTP/1.1 200 X", "content-length: 10", "content-length: 1", body=_ROWS),
    "less_than_said": _ended("HTTP/1.1 200 X", "content-length: 100", body=_ROWS),
    "more_than_said": _ended("HTTP/1.1 200 X", "content-length: 10", body=_ROWS + make_answer(200, _PAGE, "text/html")),
    "no_length": _ended("HTTP/1.1 200 X", "content-type: application/json", body=_ROWS),
    "two_framings": _ended("HTTP/1.1 200 X", "content-length: 3", "transfer-encoding: chunked", body=b"2\r\n[]\r\n0\r\n\r\n"),
    "unknown_coding": _ended("HTTP/1.1 200 X", "transfer-encoding: gzip, hostile", body=_ROWS),
    "bad_chunk": always(_chunks_of("zz"), closes=True),
    "huge_chunk": always(_chunks_of("FFFFFFFFFFFFFFFFFF"), closes=True),
    "negative_chunk": always(_chunks_of("-2"), closes=True),
    "bomb": always(make_answer(200, _bomb("gzip"), content_encoding="gzip")),
    "bomb_in_error": always(make_answer(400, _bomb("gzip"), content_encoding="gzip")),
    "deflated_bomb_in_error": always(make_answer(400, _bomb("zlib"), content_encoding="deflate")),
    "many_codings": always(make_answer(400, _bomb("gzip"), content_encoding=", ".join(["gzip"] * 100))),
    "deep_error": always(make_answer(400, b"[" * 500_000)),
    "deep_rows": always(make_answer(200, b"[" * 1_000_000 + b"]" * 1_000_000)),
    "thousands_of_headers": _ended("HTTP/1.1 200 X", *[f"x-hostile-{n}: 1" for n in range(5000)], "content-length: 0"),
    "giant_header": _ended("HTTP/1.1 200 X", f"content-range: {'hostile' * 20_000}", "content-length: 0"),
    "evil_headers": always(make_answer(200, _ROWS, **_EVIL_HEADERS)),
    "evil_headers_of_error": always(make_answer(400, {"code": "22000", "message": "x"}, **_EVIL_HEADERS)),
    "split_header": always(make_answer(200, _ROWS, content_range="0-0/1\n set-cookie: hostile=1")),
    "binary_header": always(make_answer(200, _ROWS, content_range="\x01\x7f\xff hostile")),
    "page": always(make_answer(200, _PAGE, "text/html")),
    "script": always(make_answer(200, b"fetch('/api/account')", "text/javascript")),
    "drawing": always(make_answer(200, b"<svg onload='alert(1)' xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml")),
    "page_of_error": always(make_answer(500, _PAGE, "text/html")),
    "two_types": _ended(
        "HTTP/1.1 200 X", "content-type: application/json", "content-type: text/html", f"content-length: {len(_PAGE)}",
        body=_PAGE,
    ),
    "type_in_a_list": always(make_answer(200, _PAGE, "application/json, text/html")),
    "redirect": always(make_answer(302, b"", location="https://hostile.invalid/")),
    "redirect_to_here": always(make_answer(307, b"", location="//hostile.invalid/api/account")),
    "created_elsewhere": always(make_answer(201, b"", location="https://hostile.invalid/")),
    "status_000": _with_status("000 X"),
    "status_099": _with_status("99 X"),
    "status_600": _with_status("600 X"),
    "status_999": _with_status("999 X"),
    "status_2000": _with_status("2000 X"),
    "status_of_words": _with_status("hostile"),
    "switching": _with_status("101 Switching Protocols"),
    "no_content_with_one": _with_status("204 X"),
    "not_modified": _with_status("304 X"),
    "signs_in": always(make_answer(401, b"", www_authenticate='Basic realm="hostile"')),
    "retry_for_ever": always(make_answer(429, {"message": "x"}, retry_after="9" * 50)),
    "http_2": always(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\0" * 18, closes=True),
    "http_09": always(_PAGE, closes=True),
    "nothing": always(b"", closes=True),
    "half_a_head": always(b"HTTP/1.1 200 OK\r\ncontent-le", closes=True),
    "reset_at_once": _reset_after(b""),
    "reset_in_body": _reset_after(_JSON + b"content-length: 1000\r\n\r\n[1"),
    "an_answer_unasked": always(make_answer(200, _ROWS) * 2),
}  # fmt: skip


def _describe(document: bytes, **headers: str) -> Behave:
    return always(make_answer(200, document, "application/openapi+json", **headers))


def _list_columns(count: int) -> bytes:
    return b'{"paths":{},"definitions":{"a":{"properties":{%b}}}}' % b",".join(
        b'"c%d":{}' % number for number in range(count)
    )


def _make_descriptions() -> Iterator[tuple[str, Behave]]:
    start = json.dumps(DESCRIPTION).encode()[:-1]
    yield "large_text", _describe(start + b',"x":"' + b"x" * 40_000_000 + b'"}')
    yield "many_values", _describe(start + b',"x":[' + b"{}," * 2_100_000 + b"{}]}")
    yield "many_columns", _describe(_list_columns(200_001))
    yield "deep", _describe(start + b',"x":' + b"[" * 2_000_000)
    yield "page", always(make_answer(200, _PAGE, "text/html"))
    yield "bomb", _describe(_bomb("gzip"), content_encoding="gzip")
    yield "endless", _endless(_CHUNKED, _CHUNK)
    yield "drips", _drip(_CHUNKED, b"1\r\n \r\n")


DESCRIPTIONS = dict(_make_descriptions())


async def _behave_as_asked(turn: HostileExchange) -> None:
    named = _NAMED.search(turn.heard.target)
    await (BEHAVIOURS[named[1]] if named else be_good)(turn)


def _turn_to(behave: Behave) -> Behave:
    has_turned = False

    async def answer(turn: HostileExchange) -> None:
        nonlocal has_turned
        if turn.heard.target == "/turn":
            has_turned = True
            await turn.send(make_answer(200, {}))
        elif has_turned and turn.heard.target in ("/", "/rest/v1/"):
            await behave(turn)
        else:
            await be_good(turn)

    return answer


async def _serve_all() -> None:
    async with AsyncExitStack() as stack:
        ports = {"": (await stack.enter_async_context(serve_hostile(_behave_as_asked))).port}
        for name, behave in DESCRIPTIONS.items():
            ports[name] = (await stack.enter_async_context(serve_hostile(_turn_to(behave)))).port
        print(json.dumps(ports), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve_all())
