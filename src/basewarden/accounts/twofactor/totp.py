"""Codes by time (RFC 6238): six digits, new every thirty seconds. The time is the server's, never the caller's."""

import re
import secrets
import unicodedata
from base64 import b32encode
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

import segno
from pyotp import TOTP

from basewarden.core.secret import Secret

ISSUER = "Basewarden"
STEP_SECONDS = 30
_SECRET_BYTES = 20
_QR_SCALE = 5
_WINDOW = 1  # steps either way: people type slowly, and phones are seconds off
_NOTICED = 10  # steps either way in which a code that is refused still tells that a clock is off
# The newest first where a code is good, so that digits which happen to fit two steps use up both.
_OFFSETS = (1, 0, -1, *(sign * steps for steps in range(_WINDOW + 1, _NOTICED + 1) for sign in (-1, 1)))


@dataclass(frozen=True, slots=True)
class TotpMatch:
    """The time step that a code belongs to, and how many steps that is after now."""

    step: int
    offset: int

    @property
    def is_good(self) -> bool:
        return abs(self.offset) <= _WINDOW

    def explain(self) -> str:
        """What to do about a code that is right at another time."""
        minutes = max(1, round(abs(self.offset) * STEP_SECONDS / 60))
        about = f"about {minutes} minute{'s' if minutes > 1 else ''}"
        if self.offset > 0:
            return f"The clock of your phone is {about} ahead. Let it set its time by itself, then wait for a new code."
        return (
            f"This code is {about} old. If your app shows it as the newest one, "
            "the clock of your phone is behind: let it set its time by itself."
        )


def make_secret() -> Secret:
    """160 random bits, as authenticator apps read them."""
    return Secret(b32encode(secrets.token_bytes(_SECRET_BYTES)).decode())


def make_url(secret: Secret, email: str) -> Secret:
    """What the QR code says."""
    return Secret(TOTP(secret.reveal()).provisioning_uri(name=email, issuer_name=ISSUER))


def draw_qr(url: Secret) -> str:
    """A PNG as a data: address."""
    return segno.make(url.reveal(), micro=False).png_data_uri(scale=_QR_SCALE)


def find_match(secret: Secret, typed: Secret, at: datetime) -> TotpMatch | None:
    """Where in time the code belongs; None far from `at`, and for what is no code at all."""
    code = _read_digits(typed)
    if code is None:
        return None
    totp = TOTP(secret.reveal())
    now = totp.timecode(at)
    for offset in _OFFSETS:
        if compare_digest(totp.generate_otp(now + offset), code):
            return TotpMatch(now + offset, offset)
    return None


def _read_digits(typed: Secret) -> str | None:
    """Six digits, also as `123 456` and from keyboards with other digits."""
    text = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", typed.reveal()))
    return text if re.fullmatch(r"[0-9]{6}", text) else None
