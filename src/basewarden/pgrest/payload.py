"""The body of a write or a call, checked as far as planning needs and otherwise left as bytes."""

import csv
import io
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import msgspec

from basewarden.pgrest import errors
from basewarden.pgrest.grammar import media
from basewarden.pgrest.grammar.media import MediaType

_KEYS_DIFFER = "All object keys must match"
_INVALID_JSON = "Empty or invalid json"
_FIRST_BYTE = re.compile(rb"[ \t\r\n]*(.)", re.DOTALL)
_AS_IT_IS = re.compile(rb"[^%+;\x80-\xff]*")  # nothing in it is encoded
_NO_CSV = 'parse error (not enough input) at ""'
_FIELD = r'(?:"(?:[^"]|"")*+"|[^",\r\n]*+)'
_CSV_FIELD, _CSV_FIELDS = re.compile(_FIELD), re.compile(rf"(?:{_FIELD}(?:[,\r\n]|\Z))*+")
_MOST_SHOWN = 200
_RAW_MEDIA = (media.PLAIN_TEXT, media.XML, media.OCTETS)

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder(msgspec.Raw).decode
_decode_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode


@dataclass(frozen=True, slots=True)
class Payload:
    """`keys` are the columns or parameters it gives; `arguments` are those of a form."""

    body: bytes
    keys: frozenset[str] = frozenset()
    arguments: tuple[tuple[str, str], ...] | None = None

    @property
    def is_object(self) -> bool:
        first = _FIRST_BYTE.match(self.body)
        return first is not None and first[1] == b"{"


_NO_ROWS = Payload(b"[]")


def parse_payload(body: bytes, content_type: MediaType, columns: tuple[str, ...] | None, *, is_call: bool) -> Payload:
    if content_type == media.JSON:
        return _parse_json(body, columns, is_call=is_call)
    if content_type == media.CSV:
        return _parse_csv(body)
    if content_type == media.FORM:
        return _parse_form(body, is_call=is_call)
    if is_call and content_type in _RAW_MEDIA:
        return Payload(body)
    raise errors.bad_body(f"Content-Type not acceptable: {content_type.mime()}")


def _parse_json(body: bytes, columns: tuple[str, ...] | None, *, is_call: bool) -> Payload:
    if columns is not None:
        return Payload(body, frozenset(columns))
    if not body and is_call:
        return Payload(b"{}")
    first = _FIRST_BYTE.match(body)
    try:
        if first is not None and first[1] == b"[":
            return _payload_of_rows(body)
        if first is not None and first[1] == b"{":
            return Payload(body, frozenset(_decode_object(body)))
        _decode_any(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise errors.bad_body(_INVALID_JSON) from None
    return _NO_ROWS


def _payload_of_rows(body: bytes) -> Payload:
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
    """Stricter than PostgREST, which fills up lines that are too short and drops what a line has too much."""
    text = _decode_csv(body)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise errors.bad_body(str(error)) from None
    if not lines or (len(lines) == 1 and not text.endswith(("\n", "\r"))):
        raise errors.bad_body(_NO_CSV)
    names, rows = lines[0] or [""], [line for line in lines[1:] if line]
    if any(len(row) != len(names) for row in rows):
        raise errors.bad_body("All lines must have same number of fields")
    if not rows:
        return _NO_ROWS
    objects = [
        {name: None if value == "NULL" else value for name, value in zip(names, row, strict=True)} for row in rows
    ]
    return Payload(msgspec.json.encode(objects), frozenset(names))


def _decode_csv(body: bytes) -> str:
    """Refuses a quote inside a field that is not quoted, which Python's reader takes for a letter."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise errors.bad_body(str(error)) from None
    if '"' in text:
        _check_quotes(text)
    return text


def _check_quotes(text: str) -> None:
    right = _CSV_FIELDS.match(text)
    field = _CSV_FIELD.match(text, right.end() if right else 0)
    rest = text[field.end() :] if field else ""
    if not rest:
        return
    if field and not field[0]:  # a quote that is never closed
        raise errors.bad_body(_NO_CSV)
    shown = msgspec.json.encode(rest[:_MOST_SHOWN]).decode()
    raise errors.bad_body(f"parse error (Failed reading: satisfy) at {shown}")


def _parse_form(body: bytes, *, is_call: bool) -> Payload:
    pairs = tuple(split_pairs(body, "the body"))
    keys = frozenset(name for name, _ in pairs)
    if is_call:
        return Payload(body, keys, pairs)
    return Payload(msgspec.json.encode(dict(pairs)), keys)


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
        return unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise errors.not_utf8(what) from None
