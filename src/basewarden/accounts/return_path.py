"""Where to go after signing in: a path of this site, never an address from outside."""

from urllib.parse import quote, urlsplit

HOME = "/connections"
SIGN_IN = "/signin"


def safe_path(path: str | None) -> str:
    if not path or not path.startswith("/") or path.startswith(("//", "/\\")) or not path.isprintable():
        return HOME
    parts = urlsplit(path)
    return HOME if parts.scheme or parts.netloc else path


def signin_path(back_to: str) -> str:
    return f"{SIGN_IN}?next={quote(back_to, safe='/')}"
