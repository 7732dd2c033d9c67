"""Verifies deliveries by Standard Webhooks, on the raw bytes and before they are parsed.

Our own implementation: the reference library raises unexpected errors on a hostile header (field notes, S27).
Every input ends in a `Delivery` or in one of three errors.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from basewarden.billing.errors import BadDelivery, StaleDelivery, WrongSignature
from basewarden.core.secret import Secret
from basewarden.core.webhooks import ID, SIGNATURE, TIMESTAMP, read_key, sign

TOLERANCE = timedelta(minutes=5)
_LONGEST_ID = 256
_IS_ID = re.compile(r"[!-~]+")
_IS_SECONDS = re.compile(r"[0-9]{1,11}")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that the provider signed. `body` may still contain anything."""

    id: str
    sent_at: datetime
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Headers:
    """The three headers as received: every value of each name."""

    id: Sequence[str]
    timestamp: Sequence[str]
    signature: Sequence[str]


def read_keys(secrets: Secret | None) -> tuple[bytes, ...]:
    """Reads one key of each secret; secrets are separated by spaces while one is rotated.

    As in the libraries of Standard Webhooks, `whsec_` is removed, and the rest is base64 of 24 to 64 bytes. A secret in
    another form is the key itself, byte for byte. A bare `whsec_` is no key: an empty one would let anyone sign.
    """
    texts = (secrets.reveal() if secrets else "").split()
    return tuple(key for key in map(read_key, texts) if key)


def verify_delivery(headers: Headers, body: bytes, keys: Sequence[bytes], now: datetime) -> Delivery:
    """Raises BadDelivery, StaleDelivery or WrongSignature; one valid signature under one of the keys is enough."""
    delivery_id, seconds = _read_one(headers.id), _read_one(headers.timestamp)
    signatures = _read_one(headers.signature)
    if len(delivery_id) > _LONGEST_ID or not _IS_ID.fullmatch(delivery_id) or not _IS_SECONDS.fullmatch(seconds):
        raise BadDelivery
    sent_at = datetime.fromtimestamp(int(seconds), UTC)
    signed = b".".join((delivery_id.encode(), seconds.encode(), body))
    if not _has_good(signatures.encode("utf-8", "replace"), [sign(key, signed) for key in keys]):
        raise WrongSignature
    if abs(now - sent_at) > TOLERANCE:  # only the signer learns that its clock is off
        raise StaleDelivery
    return Delivery(delivery_id, sent_at, body)


def _has_good(given: bytes, expected: Sequence[bytes]) -> bool:
    """Compares each in constant time; signatures of another version, or in no valid form, match none."""
    good = False
    for one in given.split(b" "):
        for other in expected:
            good |= hmac.compare_digest(one, other)
    return good


def _read_one(values: Sequence[str]) -> str:
    """Refuses two headers with one name: it is unknown which of them was signed."""
    if len(values) != 1 or not values[0]:
        raise BadDelivery(hint=f"Each of {ID}, {TIMESTAMP} and {SIGNATURE}, once.")
    return values[0]
