"""Cookies after signing up: which browser it was, and the address that the next form is filled in with."""

import base64
import binascii
from typing import Any

from fastapi import Response

from basewarden.accounts.constant_time import MAX_EMAIL_LENGTH
from basewarden.accounts.signin.sessions import read_cookie
from basewarden.accounts.signup.browsers import TTL
from basewarden.settings import Settings
from basewarden.web import set_cookie

_SIGNUP_COOKIE = "basewarden.signup"
_ADDRESS_COOKIE = "basewarden.address"
_ADDRESS_SECONDS = 60 * 60


def set_signup_cookie(response: Response, settings: Settings, value: str) -> None:
    set_cookie(response, settings, _name(settings, _SIGNUP_COOKIE), value, seconds=int(TTL.total_seconds()))


def read_signup_cookie(scope: Any, settings: Settings) -> str:
    return read_cookie(scope, _name(settings, _SIGNUP_COOKIE)) or ""


def set_address_cookie(response: Response, settings: Settings, email: str) -> None:
    """The address is not put into the URL, because URLs are logged."""
    value = base64.urlsafe_b64encode(email.encode()).decode().rstrip("=")
    set_cookie(response, settings, _name(settings, _ADDRESS_COOKIE), value, seconds=_ADDRESS_SECONDS)


def read_address_cookie(scope: Any, settings: Settings) -> str:
    """The address, or "" where there is none or it is malformed."""
    value = read_cookie(scope, _name(settings, _ADDRESS_COOKIE)) or ""
    if not value.isascii() or len(value) > 2 * MAX_EMAIL_LENGTH:
        return ""
    try:
        email = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return email if email.isprintable() else ""


def _name(settings: Settings, name: str) -> str:
    return f"__Host-{name}" if settings.is_https else name
