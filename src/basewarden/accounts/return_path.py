"""Where to go after signing in: always a path of this site."""

from urllib.parse import quote, urlsplit

HOME = "/connections"
SIGN_IN = "/signin"
SIGN_UP = "/signup"
SETTINGS = "/settings/account"
SECOND_STEP = "/signin/2fa"
CONFIRM = "/settings/account/confirm"
_CONFIRMED = f"{SETTINGS}?done=confirmed"


def safe_path(path: str | None) -> str:
    if not path or not path.startswith("/") or path.startswith(("//", "/\\")) or not path.isprintable():
        return HOME
    parts = urlsplit(path)
    return HOME if parts.scheme or parts.netloc else path


def signin_path(back_to: str, done: str = "") -> str:
    """`done` names what has just happened, which the page shows."""
    if not done:
        return f"{SIGN_IN}?next={quote(back_to, safe='/')}"
    return f"{SIGN_IN}?done={done}" if back_to == HOME else f"{SIGN_IN}?done={done}&next={quote(back_to, safe='/')}"


def second_step_path(back_to: str) -> str:
    return f"{SECOND_STEP}?next={quote(back_to, safe='/')}"


def confirm_path(back_to: str) -> str:
    return f"{CONFIRM}?next={quote(back_to, safe='/')}"


def confirm_beside_path() -> str:
    """For a separate tab beside an open form: it ends on a page that asks to return to the form."""
    return confirm_path(_CONFIRMED)
