"""The two logs, and what must not be in them."""

import io
import re
from typing import Any

import pytest

from pgrest.server.log import Log
from pgrest.settings import LogLevel
from tests.pgrest.jwt.signing import sign

STAMP = r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"


def make(level: LogLevel = "info") -> tuple[Log, io.StringIO, io.StringIO]:
    requests, events = io.StringIO(), io.StringIO()
    return Log(level, requests=requests, events=events), requests, events


def scope(**parts: Any) -> dict[str, Any]:
    usual = {"client": ("10.0.0.1", 5), "method": "GET", "raw_path": b"/items", "query_string": b""}
    return {**usual, "http_version": "1.1", **parts}


def test_a_request_is_an_apache_line() -> None:
    log, requests, _ = make()
    headers = {b"user-agent": b"curl/8", b"referer": b"http://here"}
    log.log_request(scope(query_string=b"id=eq.1&x"), headers, 200, "web_anon", "56")
    line = rf'10\.0\.0\.1 - web_anon \[{STAMP}\] "GET /items\?id=eq\.1&x HTTP/1\.1" 200 56 "http://here" "curl/8"\n'
    assert re.fullmatch(line, requests.getvalue())


def test_what_is_not_there_is_a_dash_or_nothing() -> None:
    log, requests, _ = make()
    log.log_request(scope(client=None, http_version="1.0"), {}, 401, None, "-")
    assert re.fullmatch(rf'unix - - \[{STAMP}\] "GET /items HTTP/1\.0" 401 - "" ""\n', requests.getvalue())


def test_no_token_is_logged_wherever_it_stands() -> None:
    log, requests, _ = make()
    token = sign("HS256", {"role": "web_reader"})
    query = b"apikey=sb_secret_abc&access_token=" + token + b"&a=eq." + token + b"&API_KEY=x%20y&jwt=z"
    headers = {b"referer": b"http://x/#" + token, b"user-agent": token, b"authorization": b"Bearer " + token}
    log.log_request(scope(raw_path=b"/rpc/" + token, query_string=query), headers, 200, token.decode(), "1")
    line = requests.getvalue()
    for part in (*token.decode().split("."), "sb_secret", "x%20y", "jwt=z"):
        assert part not in line
    assert '"GET /rpc/***?apikey=***&access_token=***&a=eq.***&API_KEY=***&jwt=*** HTTP/1.1" 200 1' in line


def test_a_request_cannot_write_a_line_of_its_own() -> None:
    log, requests, _ = make()
    evil = b'"\r\n10.0.0.9 - root\\ \xff'
    log.log_request(scope(query_string=evil), {b"user-agent": evil}, 200, 'a"\nb', "1")
    assert requests.getvalue().count("\n") == 1
    assert requests.getvalue().count(r"\x22\x0d\x0a10.0.0.9 - root\x5c \xff") == 2
    assert r" - a\x22\x0ab [" in requests.getvalue()


@pytest.mark.parametrize(
    ("level", "shown"),
    [("crit", ()), ("error", (500, 503)), ("warn", (400, 500, 503)), ("info", (200, 400, 500, 503))],
)
def test_the_level_says_which_answers_are_logged(level: LogLevel, shown: tuple[int, ...]) -> None:
    log, _, _ = make(level)
    assert tuple(status for status in (200, 400, 500, 503) if log.shows_status(status)) == shown


def test_an_event_is_one_line_at_its_level() -> None:
    log, _, events = make("error")
    log.write("one\n  two")
    log.write("unseen", level="debug")
    assert re.fullmatch(rf"{STAMP}: one two\n", events.getvalue())


def test_a_failure_says_where_and_not_what() -> None:
    log, _, events = make()
    word = "hush".upper()
    with pytest.raises(ValueError) as raised:
        int(word)
    log.log_failure(raised.value)
    assert "test_a_failure_says_where" in events.getvalue()
    assert events.getvalue().endswith("ValueError\n")
    assert word not in events.getvalue()


def test_a_reader_that_went_away_ends_nothing() -> None:
    log, requests, _ = make()
    requests.close()
    log.log_request(scope(), {}, 200, None, "1")
