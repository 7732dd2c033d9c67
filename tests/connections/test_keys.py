"""What a person pastes for a project's URL and key: read, or refused with a sentence that repeats nothing of it."""

import base64
import json
from typing import Any

import pytest

from basewarden.connections.rest.keys import KeyKind, KeyRefused, parse_key
from basewarden.connections.rest.urls import RestAddress, parse_project_url, parse_saved_url
from basewarden.connections.urls import URLError
from basewarden.core.secret import Secret
from tests.fakes.supabase import make_jwt


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("https://ref.supabase.co", "https://ref.supabase.co"),
        (" https://REF.supabase.co/ ", "https://ref.supabase.co"),
        ("ref.supabase.co", "https://ref.supabase.co"),
        ("https://ref.supabase.co/rest/v1", "https://ref.supabase.co"),
        ("https://ref.supabase.co/rest/v1/", "https://ref.supabase.co"),
        ("https://ref.supabase.co:443", "https://ref.supabase.co"),
        ("https://ref.supabase.co.", "https://ref.supabase.co"),
        ("http://127.0.0.1:54321", "http://127.0.0.1:54321"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("https://db.example.com/tenants/a-1/rest/v1/", "https://db.example.com/tenants/a-1"),
    ],
)
def test_an_address_is_taken_as_people_write_it(typed: str, address: str) -> None:
    found = parse_project_url(typed)
    assert str(found) == address
    assert parse_saved_url(str(found)) == found


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Use the form"),
        ("postgresql://u:p@h/d", "Use the form"),
        ("ftp://ref.supabase.co", "Use the form"),
        ("file:///etc/passwd", "Use the form"),
        ("https://", "no host"),
        ("https://user:pa55word@ref.supabase.co", "Remove the user name and password"),
        ("https://@ref.supabase.co", "Remove the user name and password"),
        ("https://ref.supabase.co/?apikey=x", r"after \? or #"),
        ("https://ref.supabase.co?", r"after \? or #"),
        ("https://ref.supabase.co/#", r"after \? or #"),
        ("https://ref.supabase.co:0", "port"),
        ("https://ref.supabase.co:99999", "port"),
        ("https://ref.supabase.co/a/../b", "path"),
        ("https://ref.supabase.co/a//b", "path"),
        ("https://ref.supabase.co/%2e%2e", "path"),
        ("https://ref.supabase.co\\@evil.example", "character"),
        ("https://ref.supabase.co/\r\nx: y", "character"),
        ("https://réf.supabase.co", "character"),
        ("https://a b.supabase.co", "character"),
        ("https://ref_!.supabase.co", "host name or an IP address"),
        ("https://supabase.com/dashboard/project/ref", "dashboard"),
        ("https://db.ref.supabase.co", "database's host"),
        ("https://" + "a" * 600, "too long"),
    ],
)
def test_an_address_that_is_none_is_refused(typed: str, sentence: str) -> None:
    with pytest.raises(URLError, match=sentence) as refused:
        parse_project_url(typed)
    assert "pa55word" not in str(refused.value)


def test_the_host_of_a_request_is_spelled_as_a_client_would() -> None:
    assert RestAddress("https", "a.example", 443).authority == "a.example"
    assert RestAddress("http", "::1", 8000).authority == "[::1]:8000"


@pytest.mark.parametrize(
    ("typed", "kind", "role"),
    [
        ("sb_secret_0123456789abcdef", KeyKind.SECRET, "service_role"),
        (' "sb_publishable_0123456789abcdef"\n', KeyKind.PUBLISHABLE, "anon"),
        (make_jwt("s", role="service_role", exp=4_000_000_000), KeyKind.JWT, "service_role"),
        (make_jwt("s", role="anon"), KeyKind.JWT, "anon"),
        (make_jwt("s", sub="nobody"), KeyKind.JWT, "anon"),
    ],
)
def test_a_key_says_its_kind_and_role(typed: str, kind: KeyKind, role: str) -> None:
    key = parse_key(Secret(typed))
    assert (key.kind, key.role) == (kind, role)
    assert key.value.reveal() in typed
    assert key.value.reveal() not in repr(key)


def jwt_of(*parts: Any) -> str:
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "one line"),
        ("two words", "one line"),
        ("kéy", "one line"),
        ("x" * 5000, "one line"),
        ("hunter2", "not a Supabase project key"),
        ("sbp_0123456789abcdef", "personal access token"),
        ("bwa_0123456789abcdef", "Basewarden agent token"),
        ("postgresql://u:p@h/d", "Postgres connection string"),
        ("https://ref.supabase.co", "URL"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9", "incomplete"),
        ("sb_secret_q7", "incomplete"),
        ("sb_other_0123456789", "incomplete"),
        ("a.b.c", "not a valid JWT"),
        (jwt_of({"alg": "HS256"}, ["role"], "x"), "not a valid JWT"),
        (jwt_of({"alg": "HS256"}, {"role": 7}, "x"), "role in this key"),
        (jwt_of({"alg": "HS256"}, {"role": "a\nb"}, "x"), "role in this key"),
        (make_jwt("s", role="anon", exp=1), "expired"),
    ],
)
def test_what_is_clearly_no_key_is_refused(typed: str, sentence: str) -> None:
    with pytest.raises(KeyRefused, match=sentence) as refused:
        parse_key(Secret(typed))
    assert not typed or typed not in str(refused.value)
