"""Bodies before the application sees them: whole, or not at all, and nested no deeper than a parser goes."""

from typing import Any

import pytest

from basewarden.web.bodies import MOST_NESTED, WholeBodies, is_nested_too_deep

POST = {"type": "http", "method": "POST", "path": "/"}


def make_receive(*messages: dict[str, Any]) -> Any:
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    return receive


def make_part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def send(_: Any) -> None:
    raise AssertionError


async def test_the_application_gets_the_whole_body_in_one() -> None:
    got: list[Any] = []

    async def note(scope: Any, receive: Any, send: Any) -> None:
        got.extend([await receive(), await receive()])

    parts = (make_part(b"ab", more=True), make_part(b"", more=True), make_part(b"c", more=False))
    await WholeBodies(note)(POST, make_receive(*parts, {"type": "http.disconnect"}), send)
    assert got == [make_part(b"abc", more=False), {"type": "http.disconnect"}]


async def test_half_a_body_never_reaches_the_application() -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    parts = (make_part(b"ab", more=True), {"type": "http.disconnect"})
    await WholeBodies(fail)(POST, make_receive(*parts), send)


def nest(depth: int, inside: bytes = b"") -> bytes:
    return b"[" * depth + inside + b"]" * depth


@pytest.mark.parametrize(
    ("text", "is_too_deep"),
    [
        (b"", False),
        (b'{"a":[' + b"{}," * 20_000 + b"{}]}", False),
        (nest(MOST_NESTED), False),
        (nest(MOST_NESTED, b"1"), False),
        (nest(MOST_NESTED + 1), True),
        (nest(MOST_NESTED + 1, b"1"), True),
        (b"[" * 60_000, True),
        (b"{}" * 9_000 + nest(MOST_NESTED + 1), True),
        (b"[" + nest(MOST_NESTED - 1) * 9 + b"]", False),
        (b"[" + nest(MOST_NESTED - 1) * 9 + nest(MOST_NESTED) + b"]", True),
        (b'"' + b"[" * 60_000 + b'"', False),
        (b'"\\"' + b"[" * 60_000, False),  # ends within a string
        (b'["a\\"' + b"[" * 60_000 + b'"]', False),
    ],
)
def test_depth_counts_brackets_outside_of_strings(text: bytes, *, is_too_deep: bool) -> None:
    assert is_nested_too_deep(text) is is_too_deep
