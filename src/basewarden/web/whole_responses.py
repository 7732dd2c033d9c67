"""Responses that are ready as a whole: head and body go out in one write, past the server's look at each header.

Between the data API and the edge, such a response is one message of our own. The edge adds its headers and has the
protocol send it; where that cannot, as in tests with another server, it becomes the two messages of ASGI.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

WHOLE: Final = "basewarden.response"
_KEY: Final = "basewarden.send_whole"
RawHeader = tuple[bytes, bytes]
SendWhole = Callable[[Any, int, bytes, "bytes | memoryview"], bool]
"""Of a scope, a status, whole lines of a head, each with its line end, and a body. False where nothing was sent."""


class CheckedHeaders(NamedTuple):
    """Headers that are known to be valid HTTP, with names in lower case; `lines` are the same as lines of a head."""

    pairs: tuple[RawHeader, ...]
    names: tuple[bytes, ...]
    lines: bytes


def join_checked(pairs: Iterable[RawHeader]) -> CheckedHeaders:
    """`pairs` hold no control characters, and nothing of a message's framing."""
    kept = tuple(pairs)
    return CheckedHeaders(kept, tuple(name for name, _ in kept), join_lines(kept))


def join_lines(pairs: Iterable[RawHeader]) -> bytes:
    return b"".join([b"%b: %b\r\n" % pair for pair in pairs])


def make_whole(
    status: int, checked: CheckedHeaders, others: list[RawHeader], body: "bytes | memoryview"
) -> dict[str, Any]:
    """The message. `others` are headers of our own, among them the length of the body."""
    return {"type": WHOLE, "status": status, "checked": checked, "others": others, "body": body}


def attach_whole(scope: Any, send_whole: SendWhole) -> None:
    scope[_KEY] = send_whole


def find_whole(scope: Any) -> SendWhole | None:
    found: SendWhole | None = scope.get(_KEY)
    return found
