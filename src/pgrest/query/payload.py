"""The body of a write or a call, checked as far as planning needs and otherwise left as bytes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import msgspec

from pgrest import errors
from pgrest.query.csv_rows import read_csv
from pgrest.query.grammar import media
from pgrest.query.grammar.media import MediaType
from pgrest.query.json_slices import KeysDiffer, find_object_keys, find_row_keys

LARGE_BODY_BYTES = 64 * 1024
"""A larger one takes long enough to read that others would notice."""
MOST_FORM_FIELDS = 10_000
_KEYS_DIFFER = "All object keys must match"
_INVALID_JSON = "Empty or invalid json"
_FIRST_BYTE = re.compile(rb"[ \t\r\n]*(.)", re.DOTALL)
_AS_IT_IS = re.compile(rb"[^%+;\x80-\xff]*")  # nothing in it is encoded
_UNQUOTED_AT_ONCE = 64 * 1024
_READ_MEDIA = (media.JSON, media.CSV, media.FORM)
_RAW_MEDIA = (media.PLAIN_TEXT, media.XML, media.OCTETS)

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder(msgspec.Raw).decode
_decode_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode


@dataclass(frozen=True, slots=True)
class Payload:
    """`keys` are the columns or parameters it gives; `arguments` are those of a form.

    Where `is_listed`, the query string names the columns, and a row may leave one out.
    """

    body: bytes
    keys: frozenset[str] = frozenset()
    arguments: tuple[tuple[str, str], ...] | None = None
    is_listed: bool = False

    @property
    def is_object(self) -> bool:
        first = _FIRST_BYTE.match(self.body)
        return first is not None and first[1] == b"{"


_NO_ROWS = Payload(b"[]")


def parse_payload(body: bytes, content_type: MediaType, columns: tuple[str, ...] | None, *, is_call: bool) -> Payload:
    check_content_type(content_type, is_call=is_call)
    if content_type == media.JSON:
        return _parse_json(body, columns, is_call=is_call)
    if content_type == media.CSV:
        return _parse_csv(body)
    if content_type == media.FORM:
        return _parse_form(body, is_call=is_call)
    return Payload(body)


def check_content_type(content_type: MediaType, *, is_call: bool) -> None:
    """What needs no look at the body."""
    if content_type not in _READ_MEDIA and not (is_call and content_type in _RAW_MEDIA):
        raise errors.bad_body(f"Content-Type not acceptable: {content_type.mime()}")


def _parse_json(body: bytes, columns: tuple[str, ...] | None, *, is_call: bool) -> Payload:
    if columns is not None:
        return Payload(body, frozenset(columns), is_listed=True)
    if not body and is_call:
        return Payload(b"{}")
    first = _FIRST_BYTE.match(body)
    try:
        if first is not None and first[1] == b"[":
            return _payload_of_rows(body)
        if first is not None and first[1] == b"{":
            return Payload(body, _find_object_keys(body))
        _decode_any(body)
    except KeysDiffer:
        raise errors.bad_body(_KEYS_DIFFER) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise errors.bad_body(_INVALID_JSON) from None
    return _NO_ROWS


def _find_object_keys(body: bytes) -> frozenset[str]:
    return find_object_keys(body) if len(body) > LARGE_BODY_BYTES else frozenset(_decode_object(body))


def _payload_of_rows(body: bytes) -> Payload:
    if len(body) > LARGE_BODY_BYTES:
        found = find_row_keys(body)
        return _NO_ROWS if found is None else Payload(body, found)
    try:
        rows = _decode_objects(body)
    except msgspec.ValidationError:  # an element that is no object, unless what follows is not even JSON
        _decode_any(body)
        raise errors.bad_body(_KEYS_DIFFER) from None
    if not rows:
        return _NO_ROWS
    keys = rows[0].keys()
    if any(row.keys() != keys for row in rows):
        raise errors.bad_body(_KEYS_DIFFER)
    return Payload(body, frozenset(keys))


def _parse_csv(body: bytes) -> Payload:
    rows = read_csv(body)
    return _NO_ROWS if rows is None else Payload(*rows)


def _parse_form(body: bytes, *, is_call: bool) -> Payload:
    if count_pairs(body) > MOST_FORM_FIELDS:
        raise errors.too_much_in_body("fields", MOST_FORM_FIELDS)
    pairs = tuple(split_pairs(body, "the body"))
    keys = frozenset(name for name, _ in pairs)
    if is_call:
        return Payload(body, keys, pairs)
    return Payload(msgspec.json.encode(dict(pairs)), keys)


def count_pairs(encoded: bytes) -> int:
    """How many there are at most."""
    return encoded.count(b"&") + encoded.count(b";") + 1


def split_pairs(encoded: bytes, what: str) -> list[tuple[str, str]]:
    """`a=1&b=2` decoded; a name without `=` has the empty value."""
    return [(name, value or "") for name, value in split_optional_pairs(encoded, what)]


def split_optional_pairs(encoded: bytes, what: str) -> list[tuple[str, str | None]]:
    pairs: list[tuple[str, str | None]] = []
    if _AS_IT_IS.fullmatch(encoded):
        for plain in encoded.decode("ascii").split("&"):
            if plain:
                key, sign, text = plain.partition("=")
                pairs.append((key, text if sign else None))
        return pairs
    for part in encoded.replace(b";", b"&").split(b"&"):
        if part:
            name, equals, value = part.replace(b"+", b" ").partition(b"=")
            pairs.append((_unquote(name, what), _unquote(value, what) if equals else None))
    return pairs


def _unquote(encoded: bytes, what: str) -> str:
    try:
        return b"".join(_unquote_parts(encoded)).decode()
    except UnicodeDecodeError:
        raise errors.not_utf8(what) from None


def _unquote_parts(encoded: bytes) -> Iterator[bytes]:
    """Part by part, for the library makes an object of every escape; none is cut in two."""
    start = 0
    while len(encoded) - start > _UNQUOTED_AT_ONCE:
        end = start + _UNQUOTED_AT_ONCE
        cut = encoded.rfind(b"%", end - 2, end)
        end = end if cut < 0 else cut
        yield unquote_to_bytes(encoded[start:end])
        start = end
    yield unquote_to_bytes(encoded[start:])
