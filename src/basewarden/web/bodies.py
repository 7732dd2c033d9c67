"""A body within its budget: refused by what it announces, or where it does not stop."""

import re
from itertools import accumulate
from typing import Any, Final, NoReturn

from basewarden.errors import AppError, BadJSON, TooLarge
from basewarden.web.budgets import BodyBudget, RequestBudgets

MOST_NESTED: Final = 1000
_START_BYTES = 64 * 1024
_FEW_DIGITS = 4
"""of a length that is within every budget: no setting goes below 16 KB"""
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)  # the last one may be cut off
_STEPS: Final = bytes({91: 1, 123: 1, 93: 2, 125: 2}.get(byte, 0) for byte in range(256))
_DEPTHS: Final = (0, 1, -1)


def find_exceeded(scope: Any, budgets: RequestBudgets) -> BodyBudget | None:
    """The budget that the announced length of a body goes beyond, or None."""
    for name, value in scope["headers"]:
        if name == b"content-length" and not (len(value) <= _FEW_DIGITS and value.isdigit()):
            budget = budgets.find_body(scope["path"])
            if not value.isdigit() or int(value[:20]) > budget.size:
                return budget
    return None


async def refuse_body(scope: Any, receive: Any, budget: BodyBudget) -> NoReturn:
    """Raises TooLarge, or BadJSON: of JSON the start is read, which may say more than its length."""
    start, is_more = b"", _is_json(scope)
    while is_more and len(start) < _START_BYTES:
        message = await receive()
        start += message.get("body", b"")
        is_more = bool(message.get("more_body"))
    raise _make_refusal(scope, start[:_START_BYTES], budget)


def limit_body(scope: Any, receive: Any, budgets: RequestBudgets) -> Any:
    """Reads no more than the budget. Raises TooLarge or BadJSON where the body is read."""
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


def is_nested_too_deep(start: bytes) -> bool:
    """Whether the start of a JSON text opens more arrays and objects than the parser goes into."""
    steps = _STRINGS.sub(b"", start).translate(_STEPS)
    return any(depth > MOST_NESTED for depth in accumulate(map(_DEPTHS.__getitem__, steps)))


def _make_refusal(scope: Any, start: bytes, budget: BodyBudget) -> AppError:
    if _is_json(scope) and is_nested_too_deep(start):
        return BadJSON(hint="It is nested deeper than any JSON that is read here.")
    return TooLarge(hint=f"At most {budget.size} bytes.")


def _check_values(body: bytes, most: int) -> None:
    """Between two values there is a comma, whatever else there is. How deep the parser goes depends on the process."""
    if body.count(b"[") + body.count(b"{") > MOST_NESTED and is_nested_too_deep(body):
        raise BadJSON(hint="It is nested deeper than any JSON that is read here.")
    if body.count(b",") >= most and _STRINGS.sub(b"", body).count(b",") >= most:
        raise TooLarge("The body holds too many values.", hint=f"At most {most} members and elements.")


def _is_json(scope: Any) -> bool:
    return any(name == b"content-type" and b"json" in value.lower() for name, value in scope["headers"])
