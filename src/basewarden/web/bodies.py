"""Reads request bodies within their budgets, and refuses those that announce or send more."""

import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any, Final, NoReturn

from basewarden.errors import AppError, BadJSON, TooLarge
from basewarden.web.budgets import BodyBudget, RequestBudgets
from basewarden.web.context import header_values

MOST_NESTED: Final = 1000
_START_BYTES = 64 * 1024
_FEW_DIGITS = 4
"""of a length that is within every budget: no setting goes below 16 KB"""
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)  # the last one may be cut off
_BRACKETS: Final = b"[]{}"
_STEPS: Final = bytes.maketrans(_BRACKETS, b"\x01\xff\x01\xff")  # as signed bytes 1 and -1
_NO_STEPS: Final = bytes(set(range(256)) - set(_BRACKETS))
_LEAF: Final = b"\x01\xff"
_STEPS_AT_ONCE = 4096


def find_exceeded(scope: Any, budgets: RequestBudgets) -> BodyBudget | None:
    """Returns the budget that the announced length of a body exceeds, or None."""
    if b"content-length" not in header_values(scope):
        return None
    for name, value in scope["headers"]:
        if name == b"content-length" and not (len(value) <= _FEW_DIGITS and value.isdigit()):
            budget = budgets.find_body(scope["path"])
            if not value.isdigit() or int(value[:20]) > budget.size:
                return budget
    return None


async def refuse_body(scope: Any, receive: Any, budget: BodyBudget) -> NoReturn:
    """Raises TooLarge or BadJSON: the start of a JSON body is read, because nesting explains more than the length."""
    start, is_more = b"", _is_json(scope)
    while is_more and len(start) < _START_BYTES:
        message = await receive()
        start += message.get("body", b"")
        is_more = bool(message.get("more_body"))
    raise _make_refusal(scope, start[:_START_BYTES], budget)


def limit_body(scope: Any, receive: Any, budgets: RequestBudgets) -> Any:
    """Wraps `receive`, which then raises TooLarge or BadJSON for a body beyond its budget."""
    budget = budgets.find_body(scope["path"])
    counts = budget.values is not None and _is_json(scope)
    seen, kept = 0, bytearray()

    async def receive_some() -> Any:
        nonlocal seen
        message = await receive()
        body = message.get("body", b"")
        seen += len(body)
        if counts:
            kept.extend(body)
        if seen > budget.size:
            raise _make_refusal(scope, bytes(kept[:_START_BYTES]), budget)
        if counts and not message.get("more_body"):
            _check_values(bytes(kept), budget.values or 0)
        return message

    return receive_some


class WholeBodies:
    """ASGI around ASGI: calls the application when the whole body has arrived, and not if the client disconnects first.

    So a body that is still arriving costs its bytes only, and not an application that waits for it.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        body = await read_whole_body(receive)
        if body is not None:
            await self._app(scope, _replay(body, receive), send)


async def read_whole_body(receive: Any, count_bytes: Callable[[int], None] | None = None) -> bytes | None:
    """Reads to the end of the body, or returns None where the client disconnects first.

    `count_bytes` gets the size of each part before the part is kept, and may raise to refuse it.
    """
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part = message.get("body", b"")
        if count_bytes is not None:
            count_bytes(len(part))
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes, receive: Any) -> Any:
    """Makes a `receive` that returns the body once, and then what the server sends."""
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_whole() -> Any:
        return unread.pop() if unread else await receive()

    return receive_whole


def is_nested_too_deep(start: bytes) -> bool:
    """Whether the start of a JSON text is nested deeper than the parser goes."""
    steps = _STRINGS.sub(b"", start).translate(_STEPS, _NO_STEPS).replace(_LEAF, b"")
    depth, signed = 1, memoryview(steps).cast("b")  # the leaves, which are most of it, are one level deeper
    for at in range(0, len(signed), _STEPS_AT_ONCE):
        depths = list(accumulate(signed[at : at + _STEPS_AT_ONCE], initial=depth))
        if max(depths) > MOST_NESTED:
            return True
        depth = depths[-1]
    return False


def _make_refusal(scope: Any, start: bytes, budget: BodyBudget) -> AppError:
    if _is_json(scope) and is_nested_too_deep(start):
        return BadJSON(hint="It is nested too deeply.")
    return TooLarge(hint=f"At most {budget.size} bytes.")


def _check_values(body: bytes, most: int) -> None:
    """Counts commas, of which there is one between any two values. The parser's own limit depends on the process."""
    if body.count(b"[") + body.count(b"{") > MOST_NESTED and is_nested_too_deep(body):
        raise BadJSON(hint="It is nested too deeply.")
    if body.count(b",") >= most and _STRINGS.sub(b"", body).count(b",") >= most:
        raise TooLarge("The body contains too many values.", hint=f"At most {most} members and elements.")


def _is_json(scope: Any) -> bool:
    return any(name == b"content-type" and b"json" in value.lower() for name, value in scope["headers"])
