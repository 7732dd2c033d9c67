"""A CSV body as the JSON that PostgreSQL reads, made line by line: each line is let go before the next one is read."""

import csv
import io
import re
from collections.abc import Iterator, Sequence

import msgspec

from pgrest import errors

MOST_FIELDS = 1_000_000
MOST_COLUMNS = 2000
MOST_JSON_BYTES = 64 * 1024 * 1024
_FIELDS_AT_ONCE = 5000
_NAMES_AT_ONCE = 1024 * 1024
_MOST_COMMAS = 200_000  # in one line, which is read without a pause
_MOST_SHOWN = 200
_NO_CSV = 'parse error (not enough input) at ""'
# Each takes a limited number of steps, so that no match takes long.
_USUAL_FIELDS = re.compile(r'(?:(?:"[^"]*+"|[^",\r\n]*+)[,\r\n]){1,20000}+')
_UNQUOTED = re.compile(r'[^",\r\n]*+')
_QUOTED_PART = re.compile(r'(?:[^"]++|""){1,20000}+')


def read_csv(body: bytes) -> tuple[bytes, frozenset[str]] | None:
    """The rows as a JSON array, and the columns; None without rows. Raises PgrestError.

    Stricter than PostgREST, which fills up lines that are too short and drops what a line has too much.
    """
    text = _decode(body)
    try:
        return _read_lines(text)
    except csv.Error as error:
        raise errors.bad_body(str(error)) from None


def _read_lines(text: str) -> tuple[bytes, frozenset[str]] | None:
    lines = csv.reader(_limit_lines(text), strict=True)
    names = next(lines, None)
    if names is None:
        raise errors.bad_body(_NO_CSV)
    if len(names) > MOST_COLUMNS:
        raise errors.too_much_in_body("columns", MOST_COLUMNS)
    names = names or [""]
    parts = list(_encode_rows(names, lines))
    if not parts:
        if lines.line_num < 2 and not text.endswith(("\n", "\r")):
            raise errors.bad_body(_NO_CSV)
        return None
    return b"[" + b",".join(parts) + b"]", frozenset(names)


def _limit_lines(text: str) -> Iterator[str]:
    for line in io.StringIO(text, newline=""):
        if len(line) > _MOST_COMMAS and line.count(",") > _MOST_COMMAS:
            raise errors.too_much_in_body("fields in one line", _MOST_COMMAS)
        yield line


def _encode_rows(names: Sequence[str], lines: Iterator[list[str]]) -> Iterator[bytes]:
    """JSON objects, many at once, without the brackets around them."""
    width, batch, fields, size = len(names), list[dict[str, str | None]](), 0, 0
    rows_at_once = min(_FIELDS_AT_ONCE // width, _NAMES_AT_ONCE // sum(map(len, names), 1)) or 1
    for line in lines:
        if not line:
            continue
        if len(line) != width:
            raise errors.bad_body("All lines must have same number of fields")
        fields += width
        if fields > MOST_FIELDS:
            raise errors.too_much_in_body("fields", MOST_FIELDS)
        batch.append({name: None if value == "NULL" else value for name, value in zip(names, line, strict=True)})
        if len(batch) == rows_at_once:
            encoded, batch = msgspec.json.encode(batch)[1:-1], []
            size += len(encoded)
            if size > MOST_JSON_BYTES:
                raise errors.too_much_in_body("bytes as JSON", MOST_JSON_BYTES)
            yield encoded
    if batch:
        yield msgspec.json.encode(batch)[1:-1]


def _decode(body: bytes) -> str:
    """Refuses a quote inside a field that is not quoted, which Python's reader takes for an ordinary character."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise errors.bad_body(str(error)) from None
    if '"' in text:
        _check_quotes(text)
    return text


def _check_quotes(text: str) -> None:
    at = 0
    while at < len(text):
        usual = _USUAL_FIELDS.match(text, at)
        if usual is not None:
            at = usual.end()
            continue
        at = _skip_quoted(text, at + 1) if text[at] == '"' else _skip_unquoted(text, at)
        if at < len(text) and text[at] not in ",\r\n":
            shown = msgspec.json.encode(text[at : at + _MOST_SHOWN]).decode()
            raise errors.bad_body(f"parse error (Failed reading: satisfy) at {shown}")
        at += 1


def _skip_unquoted(text: str, at: int) -> int:
    found = _UNQUOTED.match(text, at)
    return at if found is None else found.end()


def _skip_quoted(text: str, at: int) -> int:
    """`at` is behind the opening quote; the answer behind the closing one."""
    while (part := _QUOTED_PART.match(text, at)) is not None:
        at = part.end()
    if at == len(text):
        raise errors.bad_body(_NO_CSV)
    return at + 1
