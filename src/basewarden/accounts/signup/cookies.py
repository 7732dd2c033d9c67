"""Cookies after signing up: which browser it was, the address for the next form, and where the person was going."""

import base64
import binascii
from typing import Any

from fastapi import Response

from basewarden.accounts.constant_time import MAX_EMAIL_LENGTH
from basewarden.accounts.return_path import HOME, safe_path
from basewarden.accounts.signin.sessions import read_cookie
from basewarden.accounts.signup.browsers import TTL
from basewarden.settings import Settings
from basewarden.web import clear_cookie, set_cookie

_SIGNUP_COOKIE = "basewarden.signup"
_ADDRESS_COOKIE = "basewarden.address"
_ADDRESS_SECONDS = 60 * 60
_RETURN_COOKIE = "basewarden.return"
_MAX_PATH_LENGTH = 2000


def set_signup_cookie(response: Response, settings: Settings, value: str) -> None:
    set_cookie(response, settings, _name(settings, _SIGNUP_COOKIE), value, seconds=int(TTL.total_seconds()))


def read_signup_cookie(scope: Any, settings: Settings) -> str:
    return read_cookie(scope, _name(settings, _SIGNUP_COOKIE)) or ""


def set_address_cookie(response: Response, settings: Settings, email: str) -> None:
    """The address is not put into the URL, because URLs are logged."""
    set_cookie(response, settings, _name(settings, _ADDRESS_COOKIE), _encode(email), seconds=_ADDRESS_SECONDS)


def read_address_cookie(scope: Any, settings: Settings) -> str:
    """The address, or "" where there is none or it is malformed."""
    return _decode(read_cookie(scope, _name(settings, _ADDRESS_COOKIE)) or "", 2 * MAX_EMAIL_LENGTH)


def set_return_cookie(response: Response, settings: Settings, back_to: str) -> None:
    """Keeps where the link of the email leads to in this browser; nothing where that is the usual page."""
    if back_to != HOME and len(back_to) <= _MAX_PATH_LENGTH:
        name = _name(settings, _RETURN_COOKIE)
        set_cookie(response, settings, name, _encode(back_to), seconds=int(TTL.total_seconds()))


def read_return_cookie(scope: Any, settings: Settings) -> str:
    """Always a path of this site."""
    return safe_path(_decode(read_cookie(scope, _name(settings, _RETURN_COOKIE)) or "", 2 * _MAX_PATH_LENGTH))


def clear_return_cookie(response: Response, settings: Settings) -> None:
    clear_cookie(response, settings, _name(settings, _RETURN_COOKIE))


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(value: str, longest: int) -> str:
    """Returns "" for what is malformed."""
    if not value.isascii() or len(value) > longest:
        return ""
    try:
        text = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text if text.isprintable() else ""


def _name(settings: Settings, name: str) -> str:
    return f"__Host-{name}" if settings.is_https else name
