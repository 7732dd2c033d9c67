"""The role that a token gives its caller, and for how long that is remembered."""

import pytest

from pgrest import PgrestError
from pgrest.jwt import JwtRules, parse_role_path, read_keys
from pgrest.server.auth import Authenticator
from pgrest.server.shared_metrics import Metric, SharedMetrics
from tests.pgrest.jwt.signing import PASSPHRASE, sign

NOW = 1_800_000_000.0
RULES = JwtRules(read_keys(PASSPHRASE))


def bearer(**claims: object) -> bytes:
    return b"Bearer " + sign("HS256", claims)


def make(rules: JwtRules = RULES, anon: str | None = "web_anon", most: int = 10) -> tuple[Authenticator, SharedMetrics]:
    board = SharedMetrics()
    return Authenticator(rules, anon, most, board.row()), board


def refusal(authenticator: Authenticator, authorization: bytes | None, now: float = NOW) -> tuple[int, str, str]:
    with pytest.raises(PgrestError) as raised:
        authenticator.authenticate(authorization, now)
    return raised.value.status, raised.value.code, raised.value.message


def test_a_caller_without_a_bearer_token_is_anonymous() -> None:
    authenticator, _ = make()
    for authorization in (None, b"", b"   ", b"Basic Zm9vOmJhcg==", b"Bearerx y", b"Token x"):
        session = authenticator.authenticate(authorization, NOW)
        assert (session.role, session.claims, session.is_anonymous) == ("web_anon", {"role": "web_anon"}, True)


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER\t", b"Bearer    "])
def test_the_scheme_is_of_any_case(scheme: bytes) -> None:
    authenticator, _ = make()
    session = authenticator.authenticate(scheme + sign("HS256", {"role": "web_reader", "org": 7}), NOW)
    assert (session.role, session.claims, session.is_anonymous) == (
        "web_reader",
        {"role": "web_reader", "org": 7},
        False,
    )


def test_a_scheme_without_a_token_is_an_empty_token() -> None:
    authenticator, _ = make()
    empty = (401, "PGRST301", "Empty JWT is sent in Authorization header")
    assert refusal(authenticator, b"Bearer") == refusal(authenticator, b"Bearer ") == empty


def test_a_token_without_a_role_is_the_anonymous_ones() -> None:
    authenticator, _ = make()
    session = authenticator.authenticate(bearer(sub="ada"), NOW)
    assert (session.role, session.is_anonymous) == ("web_anon", True)
    assert session.claims == {"sub": "ada", "role": "web_anon"}
    assert authenticator.authenticate(bearer(role=None), NOW).role == "null"
    assert authenticator.authenticate(bearer(role=""), NOW).role == ""


def test_without_an_anonymous_role_a_role_must_be_brought() -> None:
    authenticator, _ = make(anon=None)
    disabled = (401, "PGRST302", "Anonymous access is disabled")
    assert refusal(authenticator, None) == refusal(authenticator, bearer(sub="ada")) == disabled
    assert authenticator.authenticate(bearer(role="web_reader"), NOW).role == "web_reader"


def test_without_a_secret_no_token_is_taken() -> None:
    authenticator, _ = make(JwtRules())
    assert refusal(authenticator, bearer(role="web_reader")) == (500, "PGRST300", "Server lacks JWT secret")
    assert refusal(authenticator, b"Bearer ") == (500, "PGRST300", "Server lacks JWT secret")
    assert authenticator.authenticate(None, NOW).role == "web_anon"


def test_the_role_is_where_the_path_says_and_is_put_where_sql_looks() -> None:
    rules = JwtRules(RULES.keys, None, parse_role_path('.roles[?(@ ^== "web")]'))
    session = make(rules)[0].authenticate(bearer(role="nobody", roles=["x", "web_reader"]), NOW)
    assert (session.role, session.claims["role"]) == ("web_reader", "web_reader")


@pytest.mark.parametrize("most", [10, 0])
def test_a_token_that_was_good_is_refused_once_it_is_not(most: int) -> None:
    authenticator, _ = make(most=most)
    token = bearer(role="web_reader", exp=NOW + 100, nbf=NOW)
    assert refusal(authenticator, token, NOW - 31)[2] == "JWT not yet valid"
    for now in (NOW - 30, NOW, NOW + 130, NOW + 130.9):
        assert authenticator.authenticate(token, now).role == "web_reader"
    assert refusal(authenticator, token, NOW + 131) == (401, "PGRST303", "JWT expired")
    assert refusal(authenticator, token, NOW + 1e9)[2] == "JWT expired"
    assert authenticator.authenticate(token, NOW).role == "web_reader"  # a clock that was set back


def test_a_token_is_remembered_whole() -> None:
    authenticator, board = make()
    token = bearer(role="web_reader")
    session = authenticator.authenticate(token, NOW)
    assert authenticator.authenticate(token, NOW) is session
    assert (board.total(Metric.JWT_LOOKUPS), board.total(Metric.JWT_HITS)) == (2, 1)
    head, _, signature = token.rpartition(b".")
    for forged in (head + b".", head + b"." + signature[:-1], head + b"." + b"A" * len(signature), token + b"A"):
        assert refusal(authenticator, forged)[1] == "PGRST301"
    assert board.total(Metric.JWT_HITS) == 1


def test_only_so_many_are_remembered_and_those_that_were_not_used_go() -> None:
    authenticator, board = make(most=2)
    first, second, third = (bearer(role="web_reader", n=n) for n in range(3))
    for token in (first, second, first, third, first, second):
        authenticator.authenticate(token, NOW)
    assert (board.total(Metric.JWT_HITS), board.total(Metric.JWT_EVICTIONS)) == (2, 2)
    authenticator.resize(1)
    assert board.total(Metric.JWT_EVICTIONS) == 3
    authenticator.resize(0)
    authenticator.authenticate(first, NOW)
    assert board.total(Metric.JWT_LOOKUPS) == 6


def test_tokens_that_are_refused_take_no_room() -> None:
    authenticator, board = make(most=1)
    known = bearer(role="web_reader")
    authenticator.authenticate(known, NOW)
    for number in range(50):
        refusal(authenticator, b"Bearer %d.b.c" % number)
    authenticator.authenticate(known, NOW)
    assert (board.total(Metric.JWT_HITS), board.total(Metric.JWT_EVICTIONS)) == (1, 0)
