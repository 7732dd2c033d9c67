"""What browsers are answered, header for header."""

import pytest

from pgrest.server.cors import answer_preflight, list_cors_headers

ORIGIN = {b"origin": b"http://page.example"}
ASKS = {**ORIGIN, b"access-control-request-method": b"POST"}
METHODS = ("Access-Control-Allow-Methods", "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD")
AGE = ("Access-Control-Max-Age", "86400")
ANY = ("Access-Control-Allow-Origin", "*")
OURS = (("Access-Control-Allow-Origin", "http://page.example"), ("Access-Control-Allow-Credentials", "true"))
LENGTH = ("Content-Length", "0")


def test_a_preflight_is_allowed_what_it_asks_for() -> None:
    asked = {**ASKS, b"access-control-request-headers": b"Foo, accept , Prefer"}
    response = answer_preflight("OPTIONS", asked, ())
    assert response is not None
    assert (response.status, response.body) == (200, b"")
    allowed = "Authorization, Foo, accept, Prefer, Accept-Language, Content-Language"
    assert response.headers == (ANY, METHODS, ("Access-Control-Allow-Headers", allowed), AGE, LENGTH)


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        (b"", "Authorization, Accept, Accept-Language, Content-Language"),
        (b"a\r\nX: y", "Authorization, aX: y, Accept, Accept-Language, Content-Language"),
        (b"\xff", "Authorization, , Accept, Accept-Language, Content-Language"),
    ],
)
def test_no_text_breaks_out_of_the_header(asked: bytes, allowed: str) -> None:
    response = answer_preflight("OPTIONS", {**ASKS, b"access-control-request-headers": asked}, ())
    assert response is not None
    assert ("Access-Control-Allow-Headers", allowed) in response.headers


def test_a_preflight_that_asks_for_no_header_is_answered_with_none() -> None:
    response = answer_preflight("OPTIONS", ASKS, ("http://other", "http://page.example"))
    assert response is not None
    assert response.headers == (*OURS, METHODS, AGE, LENGTH)


@pytest.mark.parametrize(
    ("method", "headers", "allowed"),
    [
        ("GET", ASKS, ()),
        ("OPTIONS", ORIGIN, ()),
        ("OPTIONS", {b"access-control-request-method": b"POST"}, ()),
        ("OPTIONS", {**ASKS, b"access-control-request-method": b"BREW"}, ()),
        ("OPTIONS", {**ASKS, b"upgrade": b"WebSocket"}, ()),
        ("OPTIONS", ASKS, ("http://other",)),
        ("OPTIONS", ASKS, ("http://page.example.org", "page.example")),
    ],
)
def test_what_is_no_preflight_goes_on(method: str, headers: dict[bytes, bytes], allowed: tuple[str, ...]) -> None:
    assert answer_preflight(method, headers, allowed) is None


def test_an_answer_says_who_may_read_it() -> None:
    [origin, exposed] = list_cors_headers("GET", ORIGIN, ())
    assert origin == ANY
    assert exposed[0] == "Access-Control-Expose-Headers"
    assert exposed[1].split(", ")[2:5] == ["Content-Range", "Content-Type", "Date"]
    assert list_cors_headers("POST", ORIGIN, ("http://page.example",)) == (*OURS, exposed)
    assert list_cors_headers("POST", ORIGIN, ("http://other",)) == ()
    assert list_cors_headers("GET", {}, ()) == ()
    assert list_cors_headers("OPTIONS", ORIGIN, ()) == ()
