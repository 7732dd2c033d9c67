"""The keys of a large JSON body, or its rows, read in slices.

Decoding 16 MB of small rows at once takes a second or more, and the decoder holds the interpreter's lock meanwhile, in
a thread too. So a large array or object is decoded slice by slice; between two of them other requests get their turn.

Where to cut is tried out: if the text up to a comma becomes valid JSON by adding the closing bracket, the comma was
between two elements. Inside a string or a nested value it would not.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, TypeVar

import msgspec

MOST_KEYS = 2000
"""More columns or parameters than PostgreSQL allows; further keys of an object are not looked at."""
SLICE_BYTES = 256 * 1024
"""Takes about 20 ms."""
_TRIES = 4
_ROWS_AT_ONCE = 2000
_COMMA = re.compile(rb"[ \t\r\n]*,")
_BLANK = b" \t\r\n"

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_values = msgspec.json.Decoder(list[Any]).decode

T = TypeVar("T", bound=Sized)


class KeysDiffer(Exception):
    """An element is no object, or has other keys than the first."""


def find_object_keys(body: bytes, slice_bytes: int = SLICE_BYTES) -> frozenset[str]:
    """The keys of a JSON object, at most MOST_KEYS of them. Raises msgspec.DecodeError."""
    keys: dict[str, None] = {}
    for part in _decode_slices(body, b"{}", _find_comma, _decode_object, slice_bytes):
        if len(keys) < MOST_KEYS:
            keys.update(dict.fromkeys(part))
    return frozenset(islice(keys, MOST_KEYS))


def find_row_keys(body: bytes, slice_bytes: int = SLICE_BYTES) -> frozenset[str] | None:
    """The keys that all objects of a JSON array have, None for an empty one. Raises msgspec.DecodeError, KeysDiffer."""
    keys: frozenset[str] | None = None
    differs = False
    for elements in _decode_slices(body, b"[]", _find_comma_between_rows, _decode_elements, slice_bytes):
        for found in () if differs else _list_keys(elements, slice_bytes):
            keys = found if keys is None else keys
            differs = found is None or found != keys
            if differs:
                break
    if differs:  # said at the end: a body that is not even JSON is refused as that
        raise KeysDiffer
    return keys


def decode_rows(body: bytes, slice_bytes: int = SLICE_BYTES) -> Iterator[list[Any]]:
    """The elements of a JSON array, some at a time. Raises msgspec.DecodeError."""
    yield from _decode_slices(body, b"[]", _find_comma_between_rows, _decode_values, slice_bytes)


def _list_keys(elements: Sequence[msgspec.Raw], slice_bytes: int) -> Iterator[frozenset[str] | None]:
    """Of each element, None for one that is no object; the same ones in a row are given once."""
    for start in range(0, len(elements), _ROWS_AT_ONCE):
        batch = elements[start : start + _ROWS_AT_ONCE]
        sizes = [memoryview(element).nbytes for element in batch]
        if sum(sizes) > slice_bytes:
            yield from (_find_keys(bytes(element), slice_bytes) for element in batch)
            continue
        try:
            rows = _decode_objects(b"[" + b",".join(batch) + b"]")
        except msgspec.ValidationError:
            yield None
            return
        first = rows[0].keys()
        yield frozenset(first)
        yield from (frozenset(row) for row in rows if row.keys() != first)


def _find_keys(element: bytes, slice_bytes: int) -> frozenset[str] | None:
    if not element.lstrip(_BLANK).startswith(b"{"):
        return None
    return find_object_keys(element, slice_bytes) if len(element) > slice_bytes else frozenset(_decode_object(element))


# Slices -------------------------------------------------------------------------------------------------

FindCut = Callable[[bytes, int, int], tuple[int, int] | None]
"""Where a slice between two places may end, and where the next one then starts."""


def _decode_slices(
    body: bytes, brackets: bytes, find_cut: FindCut, decode: Callable[[bytes], T], slice_bytes: int
) -> Iterator[T]:
    opening, closing = brackets[:1], brackets[1:]
    start, end = _find_inside(body, opening, closing)
    size, is_first = slice_bytes, True
    while end - start > size:
        for _ in range(_TRIES):
            cut = find_cut(body, start + 1, start + size - random.randint(0, size // 2))  # noqa: S311 - no secret
            part = None if cut is None else _try_decoding(opening + body[start : cut[0]] + closing, decode)
            if cut is not None and part:
                yield part
                start, size, is_first = cut[1], slice_bytes, False
                break
        else:
            size *= 2
    last = decode(opening + body[start:end] + closing)
    if not last and not is_first:
        raise msgspec.DecodeError("nothing follows a comma")
    yield last


def _find_inside(body: bytes, opening: bytes, closing: bytes) -> tuple[int, int]:
    start, end = body.find(opening) + 1, body.rfind(closing)
    if body[: start - 1].strip(_BLANK) or end < start or body[end + 1 :].strip(_BLANK):
        raise msgspec.DecodeError("not one array or object")
    return start, end


def _try_decoding(text: bytes, decode: Callable[[bytes], T]) -> T | None:
    try:
        return decode(text)
    except msgspec.DecodeError:
        return None


def _find_comma(body: bytes, start: int, end: int) -> tuple[int, int] | None:
    at = body.rfind(b",", start, end)
    return None if at < 0 else (at, at + 1)


def _find_comma_between_rows(body: bytes, start: int, end: int) -> tuple[int, int] | None:
    """After an object, as a rule; after something else, which is refused, but not before the rest was looked at."""
    at = body.rfind(b"}", start, end)
    comma = _COMMA.match(body, at + 1) if at >= 0 else None
    return _find_comma(body, start, end) if comma is None else (at + 1, comma.end())
