"""What a request asks for, as the client wrote it."""

from urllib.parse import quote_from_bytes

from starlette.requests import Request

_SAFE = "/%:@!$&'()*+,;=~"


def read_path(request: Request) -> str:
    """The path with its percent-encoding, for links to the same page: a name may hold an encoded slash.

    It begins with one slash, so that a link to it does not lead to another host.
    """
    return "/" + quote_from_bytes(request.scope["raw_path"], safe=_SAFE).lstrip("/")


def read_target(request: Request) -> str:
    """The path with its query."""
    query = quote_from_bytes(request.scope["query_string"], safe=f"{_SAFE}?")
    return read_path(request) + (f"?{query}" if query else "")
