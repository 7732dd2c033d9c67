"""Codes by time against the RFC's own figures, and what counts as a recovery code."""

from base64 import b32decode, b32encode
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basewarden.accounts.twofactor.codes import make_codes, read_code
from basewarden.accounts.twofactor.totp import draw_qr, find_match, make_secret, make_url
from basewarden.core.secret import Secret

RFC_KEY = Secret(b32encode(b"12345678901234567890").decode())
# RFC 6238, appendix B, SHA-1: the last six of its eight digits.
RFC_CODES = {59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037"}
NOON = datetime(2026, 11, 24, 12, 0, 7, tzinfo=UTC)  # the RFC's key has a code of its own for each step near it


def code_at(secret: Secret, at: datetime) -> Secret:
    return Secret(pyotp.TOTP(secret.reveal()).at(at))


@pytest.mark.parametrize(("seconds", "code"), RFC_CODES.items())
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    match = find_match(RFC_KEY, Secret(code), datetime.fromtimestamp(seconds, UTC))
    assert match is not None
    assert (match.step, match.offset) == (seconds // 30, 0)


@pytest.mark.parametrize("offset", range(-12, 13))
def test_one_step_either_way_is_good_and_ten_are_noticed(offset: int) -> None:
    match = find_match(RFC_KEY, code_at(RFC_KEY, NOON + timedelta(seconds=30 * offset)), NOON)
    if abs(offset) > 10:
        assert match is None
        return
    assert match is not None
    assert match.offset == offset
    assert match.is_good is (abs(offset) <= 1)


@pytest.mark.parametrize(
    ("offset", "words"), [(2, "about 1 minute ahead"), (6, "about 3 minutes ahead"), (-10, "about 5 minutes old")]
)
def test_a_clock_that_is_off_is_named(offset: int, words: str) -> None:
    match = find_match(RFC_KEY, code_at(RFC_KEY, NOON + timedelta(seconds=30 * offset)), NOON)
    assert match is not None
    assert words in match.explain()


def test_digits_that_fit_two_steps_use_up_both() -> None:
    """The newer step is the one that is noted: the same digits are not good once more when it comes."""
    twice = 59061240  # the RFC's key has 963181 for this step and for the next
    assert pyotp.TOTP(RFC_KEY.reveal()).generate_otp(twice) == pyotp.TOTP(RFC_KEY.reveal()).generate_otp(twice + 1)
    match = find_match(RFC_KEY, Secret("963181"), datetime.fromtimestamp(twice * 30, UTC))
    assert match is not None
    assert match.step == twice + 1


@pytest.mark.parametrize("form", ["{0}{1}", "{0} {1}", " {0}-{1}\n", "{0}\u00a0{1}"])
def test_people_type_codes_in_groups(form: str) -> None:
    secret = make_secret()
    code = code_at(secret, NOON).reveal()
    assert find_match(secret, Secret(form.format(code[:3], code[3:])), NOON) is not None
    wide = code.translate({ord(digit): 0xFF10 + int(digit) for digit in "0123456789"})
    assert find_match(secret, Secret(wide), NOON) is not None


@given(st.text(max_size=64))
def test_any_text_is_a_code_or_none(text: str) -> None:
    find_match(RFC_KEY, Secret(text), NOON)
    read_code(Secret(text))


@pytest.mark.parametrize("text", ["", "12345", "1234567", "12345a", "١٢٣٤٥", "0x1234", "-12345", "1e5"])
def test_what_is_no_code_matches_nothing(text: str) -> None:
    assert find_match(RFC_KEY, Secret(text), NOON) is None


def test_a_secret_has_160_bits_and_its_url_says_whose_it_is() -> None:
    secret = make_secret()
    assert len(b32decode(secret.reveal())) == 20
    assert make_secret() != secret
    url = urlsplit(make_url(secret, "anna+b@example.com").reveal())
    assert (url.scheme, url.netloc, url.path) == ("otpauth", "totp", "/Basewarden:anna%2Bb%40example.com")
    assert parse_qs(url.query) == {"secret": [secret.reveal()], "issuer": ["Basewarden"]}
    assert draw_qr(make_url(secret, "x" * 300 + "@example.com")).startswith("data:image/png;base64,")


def test_recovery_codes_are_ten_and_each_says_its_place() -> None:
    codes = make_codes()
    assert [code.position for code in codes] == list(range(10))
    assert len({code.text for code in codes}) == 10
    for code in codes:
        assert not set(code.show()) & set("ILOU")
        assert len(code.show()) == 19


@pytest.mark.parametrize(
    "typed",
    [
        "7Q4M-XK2W-HN9P-T8RC",
        "7q4mxk2whn9pt8rc",
        " 7Q4M XK2W HN9P T8RC ",
        "7q4m\u2013xk2w\u2014hn9p\u2011t8rc\n",
        "\uff17Q4MXK2WHN9PT8RC",
    ],
)
def test_a_recovery_code_may_be_typed_as_people_do(typed: str) -> None:
    code = read_code(Secret(typed))
    assert code is not None
    assert (code.position, code.text.reveal(), code.show()) == (7, "7Q4MXK2WHN9PT8RC", "7Q4M-XK2W-HN9P-T8RC")


def test_look_alikes_are_read_as_what_was_meant() -> None:
    meant, typed = read_code(Secret("0000-1111-HN9P-T8RC")), read_code(Secret("O0oO-I1lL-HN9P-T8RC"))
    assert meant is not None
    assert typed == meant


@pytest.mark.parametrize(
    "typed",
    ["", "7", "123456", "AQ4M-XK2W-HN9P-T8RC", "7Q4M-XK2W-HN9P-T8R", "7Q4M-XK2W-HN9P-T8RCC", "7Q4M-XK2W-HN9P-T8RU"],
)
def test_what_no_recovery_code_looks_like_is_none(typed: str) -> None:
    assert read_code(Secret(typed)) is None
