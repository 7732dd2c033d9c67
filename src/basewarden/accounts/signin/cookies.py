"""Sets and clears the cookies of a sign-in session."""

from fastapi import Response

from basewarden.accounts.signin.devices import TTL
from basewarden.accounts.signin.sessions import ABSOLUTE_LIFETIME, MFA_TTL, Tokens
from basewarden.settings import Settings
from basewarden.web import clear_cookie, device_cookie_name, mfa_cookie_name, session_cookie_name, set_cookie


def set_signin_cookies(response: Response, settings: Settings, tokens: Tokens) -> None:
    """The cookies live as long as a session can; the server ends idle sessions earlier."""
    seconds = int(ABSOLUTE_LIFETIME.total_seconds())
    set_cookie(response, settings, session_cookie_name(settings), tokens.session, seconds=seconds)
    if tokens.mfa is not None:
        seconds = int(MFA_TTL.total_seconds())
        set_cookie(response, settings, mfa_cookie_name(settings), tokens.mfa, seconds=seconds)


def set_device_cookie(response: Response, settings: Settings, value: str) -> None:
    """The cookie stays after signing out, for the next sign-in."""
    set_cookie(response, settings, device_cookie_name(settings), value, seconds=int(TTL.total_seconds()))


def clear_signin_cookies(response: Response, settings: Settings) -> None:
    """Clears the session's cookies, the browser's cache and its storage; the theme's cookie stays."""
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    for name in (session_cookie_name(settings), mfa_cookie_name(settings)):
        clear_cookie(response, settings, name)
