"""What a function may say of its answer without breaking HTTP: final statuses, and headers besides framing."""

import re
from collections.abc import Iterable
from typing import Final

WITHOUT_BODY: Final = frozenset({204, 304})
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING: Final = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def is_final_status(status: int) -> bool:
    """1xx announces another answer, and HTTP has no class above 5xx."""
    return 200 <= status <= 599


def is_header(name: str, value: str) -> bool:
    return _NAME.match(name) is not None and _CONTROLS.search(value) is None


def drop_framing(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The server alone says where a message ends."""
    return tuple(pair for pair in headers if pair[0].lower() not in _FRAMING)
