"""Time-based one-time passwords (RFC 6238): six digits, valid for thirty seconds by the server's clock."""

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
_NOTICED = 10  # steps either way in which a refused code shows that a clock is wrong
# The newest valid step comes first, so that a code that matches two steps uses up both.
_OFFSETS = (1, 0, -1, *(sign * steps for steps in range(_WINDOW + 1, _NOTICED + 1) for sign in (-1, 1)))


@dataclass(frozen=True, slots=True)
class TotpMatch:
    """The time step of a code, and its distance from the current step."""

    step: int
    offset: int

    @property
    def is_good(self) -> bool:
        return abs(self.offset) <= _WINDOW

    def explain(self) -> str:
        """What to do about a code that belongs to another time."""
        minutes = max(1, round(abs(self.offset) * STEP_SECONDS / 60))
        about = f"about {minutes} minute{'s' if minutes > 1 else ''}"
        if self.offset > 0:
            return f"The clock of your phone is {about} ahead. Set the time to automatic, then wait for a new code."
        return (
            f"This code is {about} old. If your app shows it as current, "
            "the clock of your phone is slow: set the time to automatic."
        )


def make_secret() -> Secret:
    """160 random bits in base32."""
    return Secret(b32encode(secrets.token_bytes(_SECRET_BYTES)).decode())


def make_url(secret: Secret, email: str) -> Secret:
    """The otpauth: URL of the QR code."""
    return Secret(TOTP(secret.reveal()).provisioning_uri(name=email, issuer_name=ISSUER))


def draw_qr(url: Secret) -> str:
    """A PNG as a data: URL."""
    return segno.make(url.reveal(), micro=False).png_data_uri(scale=_QR_SCALE)


def find_match(secret: Secret, typed: Secret, at: datetime) -> TotpMatch | None:
    """The time step near `at` that the code belongs to; None where there is none, and for text that is not a code."""
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
    """Six digits, also written as `123 456` or with other Unicode digits."""
    text = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", typed.reveal()))
    return text if re.fullmatch(r"[0-9]{6}", text) else None
