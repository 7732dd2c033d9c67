"""Bodies before the application sees them: whole, or not at all, and nested no deeper than a parser goes."""

from typing import Any

import pytest

from basewarden.web.bodies import MOST_NESTED, WholeBodies, is_nested_too_deep, read_whole_body

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


async def test_each_part_is_counted_before_the_next_is_read() -> None:
    counted: list[int] = []

    def count(size: int) -> None:
        counted.append(size)
        if sum(counted) > 2:
            raise OverflowError

    never_read = make_part(b"d", more=False)
    waiting = [make_part(b"ab", more=True), make_part(b"c", more=True), never_read]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    with pytest.raises(OverflowError):
        await read_whole_body(receive, count)
    assert (counted, waiting) == ([2, 1], [never_read])


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
