"""When claims hold, and who they name."""

import math
from typing import Any

import pytest

from pgrest import PgrestError
from pgrest.jwt import Window, check_claims, find_role, parse_role_path, spell_role_path

NOW = 1_800_000_000
NOT_A_NUMBER = "The JWT '{}' claim must be a number"
NOT_AN_AUDIENCE = "The JWT 'aud' claim must be a string or an array of strings"


def refusal(claims: dict[str, Any], audience: str | None = None) -> str:
    with pytest.raises(PgrestError) as raised:
        check_claims(claims, audience, NOW)
    assert (raised.value.status, raised.value.code) == (401, "PGRST303")
    return raised.value.message


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"exp": NOW - 30},
        {"exp": float(NOW)},
        {"exp": None, "nbf": None, "iat": None, "aud": None},
        {"nbf": NOW + 30, "iat": NOW + 30},
        {"nbf": 0.5},
        {"iat": -1e300},
        {"exp": 2**63 - 1},
    ],
)
def test_times_hold_with_half_a_minute_to_spare(claims: dict[str, Any]) -> None:
    check_claims(claims, None, NOW)


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": NOW - 31}, "JWT expired"),
        ({"exp": 0}, "JWT expired"),
        ({"exp": NOW + 60.5}, "JWT expired"),  # no whole second is none at all
        ({"exp": 2**63}, "JWT expired"),
        ({"exp": 1e300}, "JWT expired"),
        ({"exp": -(2**80)}, "JWT expired"),
        ({"nbf": NOW + 31}, "JWT not yet valid"),
        ({"iat": NOW + 31}, "JWT issued at future"),
        ({"exp": NOW - 31, "nbf": NOW + 31}, "JWT expired"),
        ({"exp": "1"}, NOT_A_NUMBER.format("exp")),
        ({"exp": True}, NOT_A_NUMBER.format("exp")),
        ({"nbf": []}, NOT_A_NUMBER.format("nbf")),
        ({"iat": {}}, NOT_A_NUMBER.format("iat")),
    ],
)
def test_times_that_do_not_hold(claims: dict[str, Any], message: str) -> None:
    assert refusal(claims) == message


def test_the_window_is_when_the_clock_alone_decides() -> None:
    claims = {"exp": NOW + 100, "nbf": NOW - 10, "iat": NOW - 50}
    assert check_claims(claims, None, NOW) == Window(NOW - 40, NOW + 130)
    assert check_claims({}, None, NOW) == Window(-math.inf, math.inf)


@pytest.mark.parametrize("given", ["us", ["us"], ["them", "us"], [], None])
def test_an_audience_that_names_us(given: Any) -> None:
    check_claims({"aud": given}, "us", NOW)
    check_claims({"aud": given}, None, NOW)


@pytest.mark.parametrize("given", ["them", "", "u", "us.", ["them"], ["US", "u."]])
def test_an_audience_that_does_not(given: Any) -> None:
    assert refusal({"aud": given}, "us") == "JWT not in audience"
    check_claims({"aud": given}, None, NOW)


@pytest.mark.parametrize("given", [1, True, {}, [1], ["us", None], [["us"]]])
def test_an_audience_that_is_none(given: Any) -> None:
    assert refusal({"aud": given}) == refusal({"aud": given}, "us") == NOT_AN_AUDIENCE


CLAIMS = {
    "role": "plain",
    "null": None,
    "number": 7,
    "flag": True,
    "object": {"a": [1, 2]},
    "app": {"roles": ["other", "author", 3, "co-author"]},
    "https://example.com/role": {"key": "quoted"},
    "$x@y_1": "signs",
    "ärger": "letters",
}


@pytest.mark.parametrize(
    ("path", "role"),
    [
        (".role", "plain"),
        (".null", "null"),
        (".number", "7"),
        (".flag", "true"),
        (".object", '{"a":[1,2]}'),
        (".object.a[1]", "2"),
        (".app.roles[1]", "author"),
        ('."app"."roles"[0]', "other"),
        ('."https://example.com/role".key', "quoted"),
        (".$x@y_1", "signs"),
        (".ärger", "letters"),
        ('.app.roles[?(@ == "author")]', "author"),
        ('.app.roles[?(@=="author")]', "author"),
        ('.app.roles[?(@ != "other")]', "author"),
        ('.app.roles[?(@ ^== "co-")]', "co-author"),
        ('.app.roles[?(@ ==^ "thor")]', "author"),
        ('.app.roles[?(@ *== "-au")]', "co-author"),
        ('.app.roles[?(@ == "nobody")]', None),
        ('.app[?(@ == "author")]', None),
        (".app.roles[9]", None),
        (".app.roles.x", None),
        (".role.deeper", None),
        (".role[0]", None),
        (".missing", None),
        ("[0]", None),
    ],
)
def test_where_the_role_is(path: str, role: str | None) -> None:
    steps = parse_role_path(path)
    assert find_role(CLAIMS, steps) == role
    assert parse_role_path(spell_role_path(steps)) == steps


@pytest.mark.parametrize(
    "path",
    ["", "role", ".", "..role", ".a b", ".role[", ".role[x]", ".role[-1]", '.a[?(@ == "x")].b', '.a[?(@ = "x")]',
     ".a[?(@ == x)]", '."open', ".role ", " .role", '.a[?( @ == "x")]', f".a[{'9' * 5000}]"],
)  # fmt: skip
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ValueError):
        parse_role_path(path)
