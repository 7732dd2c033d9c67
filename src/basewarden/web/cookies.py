"""The cookies of the contract: HttpOnly, SameSite=Lax, Path=/, and Secure on an https origin."""

from starlette.responses import Response

from basewarden.settings import Settings

_SESSION_COOKIE = "authjs.session-token"
_MFA_COOKIE = "basewarden.mfa"
_DEVICE_COOKIE = "basewarden.device"


def session_cookie_name(settings: Settings) -> str:
    return f"__Secure-{_SESSION_COOKIE}" if settings.is_https else _SESSION_COOKIE


def mfa_cookie_name(settings: Settings) -> str:
    return f"__Host-{_MFA_COOKIE}" if settings.is_https else _MFA_COOKIE


def device_cookie_name(settings: Settings) -> str:
    return f"__Host-{_DEVICE_COOKIE}" if settings.is_https else _DEVICE_COOKIE


def set_cookie(response: Response, settings: Settings, name: str, value: str, *, seconds: int) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/", secure=settings.is_https, httponly=True, samesite="lax")


def clear_cookie(response: Response, settings: Settings, name: str) -> None:
    response.delete_cookie(name, path="/", secure=settings.is_https, httponly=True, samesite="lax")
