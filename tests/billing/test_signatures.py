"""Whether a delivery is the provider's: the standard's own vectors, and everything that a stranger can send instead."""

import base64
import hmac
import random
from datetime import UTC, datetime, timedelta

import pytest

from basewarden.billing.bodies import read_event
from basewarden.billing.errors import BadDelivery, StaleDelivery, WrongSignature
from basewarden.billing.webhooks import Delivery, Headers, read_keys, verify_delivery
from basewarden.core.secret import Secret
from basewarden.core.webhooks import sign
from basewarden.errors import AppError

# As published with the Standard Webhooks specification and its libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SECONDS = "1614265330"
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
THEN = datetime.fromtimestamp(int(SECONDS), UTC)
KEYS = read_keys(Secret(SECRET))


def check(
    id: str = ID,  # noqa: A002 - the standard's name
    seconds: str = SECONDS,
    signature: str = SIGNATURE,
    body: bytes = BODY,
    keys: tuple[bytes, ...] = KEYS,
    now: datetime = THEN,
) -> Delivery:
    return verify_delivery(Headers([id], [seconds], [signature]), body, keys, now)


def test_the_published_vector_is_good() -> None:
    assert check() == Delivery(ID, THEN, BODY)
    assert sign(KEYS[0], f"{ID}.{SECONDS}.".encode() + BODY) == SIGNATURE.encode()


@pytest.mark.parametrize(
    "signature",
    [
        f"v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= {SIGNATURE}",
        f"{SIGNATURE} v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
        f"no-comma {SIGNATURE}",
        f"v1,a,b {SIGNATURE}",
        f"  {SIGNATURE}  ",
        f"v1,%%% {SIGNATURE} v1,",
    ],
)
def test_one_good_signature_is_enough_whatever_stands_beside_it(signature: str) -> None:
    """The reference library raises at some of these."""
    assert check(signature=signature).id == ID


@pytest.mark.parametrize(
    "signature",
    [
        "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=",
        SIGNATURE.removeprefix("v1,"),
        SIGNATURE.replace("v1,", "v2,"),
        SIGNATURE.replace("v1,", "V1,"),
        SIGNATURE.replace("v1,", "v1, "),
        SIGNATURE[:-1],
        SIGNATURE + "=",
        SIGNATURE.swapcase(),
        "v1,",
        ",",
        " ",
        "é" * 100,
        "v1," * 10_000,
    ],
)
def test_anything_else_is_no_signature(signature: str) -> None:
    with pytest.raises(WrongSignature):
        check(signature=signature)


def test_every_signed_part_counts() -> None:
    for change in ({"id": ID + "x"}, {"seconds": str(int(SECONDS) + 1)}, {"body": BODY + b" "}, {"keys": (b"k" * 24,)}):
        with pytest.raises(WrongSignature):
            check(**change)


@pytest.mark.parametrize("seconds", [-301, 301, -3600 * 24 * 365, 3600 * 24])
def test_five_minutes_either_way_and_no_more(seconds: int) -> None:
    with pytest.raises(StaleDelivery):
        check(now=THEN + timedelta(seconds=seconds))
    with pytest.raises(WrongSignature):  # who cannot sign learns nothing of our clock
        check(now=THEN + timedelta(seconds=seconds), signature="v1,no")
    assert check(now=THEN + timedelta(seconds=300)).id == check(now=THEN - timedelta(seconds=300)).id


@pytest.mark.parametrize(
    "seconds", ["", "1614265330.5", "-1", "+1614265330", " 1614265330", "1e9", "\uff19", "9" * 400, "x"]
)
def test_a_time_is_whole_seconds(seconds: str) -> None:
    with pytest.raises(BadDelivery):
        check(seconds=seconds)


@pytest.mark.parametrize("id", ["", " ", "a b", "a\tb", "é", "x" * 257, "a\x00"])
def test_an_id_is_one_word(id: str) -> None:  # noqa: A002 - the standard's name
    with pytest.raises(BadDelivery):
        check(id=id)


def test_each_header_comes_once() -> None:
    good = {"id": [ID], "timestamp": [SECONDS], "signature": [SIGNATURE]}
    for name, value in good.items():
        for values in ([], value * 2):
            with pytest.raises(BadDelivery):
                verify_delivery(Headers(**{**good, name: values}), BODY, KEYS, THEN)


def test_keys_are_read_as_the_libraries_read_them() -> None:
    text = SECRET.removeprefix("whsec_")
    key = base64.b64decode(text)
    assert read_keys(Secret(SECRET)) == read_keys(Secret(text)) == (key,)
    assert read_keys(Secret(f" {SECRET}\n{text}  plain-words-of-somebody ")) == (key, key, b"plain-words-of-somebody")
    assert read_keys(Secret("whsec_c2hvcnQ=")) == (b"c2hvcnQ=",)  # five bytes are no key of the standard's
    assert read_keys(None) == read_keys(Secret("")) == read_keys(Secret(" ")) == ()


def test_an_empty_key_signs_nothing() -> None:
    assert read_keys(Secret("whsec_")) == ()
    empty = "v1," + base64.b64encode(hmac.digest(b"", f"{ID}.{SECONDS}.".encode() + BODY, "sha256")).decode()
    with pytest.raises(WrongSignature):
        check(signature=empty)


def test_while_a_secret_is_rotated_both_are_good() -> None:
    other = "whsec_" + base64.b64encode(b"another key of the provider's").decode()
    for secrets in (f"{other} {SECRET}", f"{SECRET} {other}"):
        assert check(keys=read_keys(Secret(secrets))).id == ID
    with pytest.raises(WrongSignature):
        check(keys=read_keys(Secret(other)))


def test_whatever_comes_it_is_one_of_our_errors() -> None:
    """Two thousand hostile headers and signed bodies; nothing but an AppError ever comes out."""
    dice = random.Random(20261124)
    pieces = ["v1,", SIGNATURE, " ", ",", "\x00", "é", "=", "v1a,", "whsec_", "9" * 30, ".", "\ud800", "{", '"', "\n"]
    bodies = [b"{", b"[", b'"', b"\xff", b"\x00", b"null", b'{"type":', b'"data":{}', b"}", b"1e999", b"[" * 5000, BODY]
    for _ in range(2000):
        headers = ["".join(dice.choices(pieces, k=dice.randint(0, 5))) for _ in range(3)]
        with pytest.raises(AppError):
            verify_delivery(Headers(*[[one] for one in headers]), BODY, KEYS, THEN)
        body = b"".join(dice.choices(bodies, k=dice.randint(0, 6)))
        with pytest.raises(BadDelivery):
            read_event(Delivery(ID, THEN, body))
