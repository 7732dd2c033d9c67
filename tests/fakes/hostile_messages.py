"""What a hostile PostgreSQL sends, by name: pieces of bytes, and seconds to wait between them.

A generator that ends leaves the connection open and silent; one that raises ConnectionError closes it.
"""

import struct
from collections.abc import Callable, Iterator

Piece = bytes | float
GIGABYTE = 0x3FFFFFF0
SCRIPT = b"<script src=https://hostile.invalid></script>"


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def setting(name: str, value: str) -> bytes:
    return message(b"S", name.encode() + b"\0" + value.encode("latin-1") + b"\0")


def columns(count: int) -> bytes:
    return message(b"T", struct.pack("!H", count) + (b"c\0" + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0)) * count)


def row(*values: bytes) -> bytes:
    return message(b"D", struct.pack("!H", len(values)) + b"".join(struct.pack("!I", len(v)) + v for v in values))


def error(**fields: bytes) -> bytes:
    return message(b"E", b"SERROR\0" + b"".join(k.encode() + v + b"\0" for k, v in fields.items()) + b"\0")


AUTH_OK = message(b"R", struct.pack("!I", 0))
READY = message(b"Z", b"I")
BEFORE_ROWS = message(b"1") + message(b"2")
NOTICE = message(b"N", b"SNOTICE\0C00000\0M" + b"y" * 60_000 + b"\0\0")


def _repeat(data: bytes) -> Iterator[Piece]:
    while True:
        yield data


def _drip(data: bytes) -> Iterator[Piece]:
    while True:
        for number in range(len(data)):
            yield data[number : number + 1]
            yield 0.3


def _after(start: bytes, then: Iterator[Piece]) -> Iterator[Piece]:
    yield start
    yield from then


def _once(data: bytes) -> Iterator[Piece]:
    yield data


def _then_close(data: bytes) -> Iterator[Piece]:
    yield data
    raise ConnectionAbortedError


def _count_settings() -> Iterator[Piece]:
    number = 0
    while True:
        yield b"".join(setting(f"k{number + one}", "") for one in range(1000))
        number += 1000


def _start_huge(kind: bytes) -> Iterator[Piece]:
    yield kind + struct.pack("!I", GIGABYTE) + struct.pack("!H", 1)
    yield from _repeat(b"x" * 65536)


def _in_place_of_rows(answer: bytes) -> Iterator[Piece]:
    """Whatever the pipeline asked for, each of its statements gets this."""
    yield (BEFORE_ROWS + answer) * 8 + READY


_RAISED = (
    b'{"code":"1","message":"raised"}',
    b'{"status":999,"headers":{"Set-Cookie":"hostile=1","Location":"https://hostile.invalid/","X-Hostile":"1"}}',
)
_NOTIFICATION = message(b"A", struct.pack("!I", 1) + b"channel\0" + b"p" * 7000 + b"\0")

AT_START: dict[str, Callable[[], Iterator[Piece]]] = {
    "settings_at_start": lambda: _after(AUTH_OK, _count_settings()),
    "notices_at_start": lambda: _repeat(NOTICE * 3),
    "huge_notice_at_start": lambda: _after(AUTH_OK, _start_huge(b"N")),
    "endless_passwords": lambda: _repeat(message(b"R", struct.pack("!I", 5) + b"salt") * 100),
    "endless_oks": lambda: _repeat(AUTH_OK * 1000),
    "handshake_drips": lambda: _drip(AUTH_OK + setting("server_version", "15.4")),
    "silent_at_start": lambda: iter(()),
    "http_at_start": lambda: _then_close(b"HTTP/1.1 400 Bad Request\r\nSet-Cookie: hostile=1\r\n\r\n"),
    "huge_error_at_start": lambda: _repeat(error(C=b"28000", M=SCRIPT * 1000)),
    "closes_at_start": lambda: _then_close(b"R\0\0"),
}
IN_ANSWERS: dict[str, Callable[[], Iterator[Piece]]] = {
    "endless_rows": lambda: _after(BEFORE_ROWS + columns(1), _repeat(row(b"x" * 100_000) * 10)),
    "endless_nulls": lambda: _after(
        BEFORE_ROWS + columns(1000), _repeat(message(b"D", struct.pack("!H", 1000) + b"\xff" * 4000) * 20)
    ),
    "many_rows": lambda: _once(
        BEFORE_ROWS
        + columns(1)
        + message(b"D", struct.pack("!Hi", 1, -1)) * 360_000
        + message(b"C", b"SELECT 360000\0")
        + READY
    ),
    "huge_row": lambda: _after(BEFORE_ROWS + columns(1), _start_huge(b"D")),
    "endless_notices": lambda: _repeat(NOTICE * 3),
    "endless_settings": _count_settings,
    "settings_when_idle": _count_settings,
    "notifies_when_idle": lambda: _repeat(_NOTIFICATION * 50),
    "negative_length": lambda: _once(b"T" + struct.pack("!i", -5) + b"abc"),
    "silent": lambda: iter(()),
    "unknown_message": lambda: _once(message(b"q", b"what") * 3),
    "closes_in_message": lambda: _then_close(BEFORE_ROWS + columns(1) + b"D\0\0\1\0\0\1"),
    "most_columns": lambda: _after(BEFORE_ROWS + columns(65_535), _repeat(columns(65_535))),
    "fewer_columns_than_said": lambda: _once(BEFORE_ROWS + message(b"T", struct.pack("!H", 60_000) + b"c\0")),
    "wider_rows_than_said": lambda: _once(BEFORE_ROWS + columns(1) + row(b"1", b"2", b"3") + READY),
    "value_beyond_its_row": lambda: _once(BEFORE_ROWS + columns(1) + message(b"D", struct.pack("!HI", 1, 9_999_999))),
    "rows_without_columns": lambda: _once(BEFORE_ROWS + row(b"1") + message(b"C", b"SELECT 1\0") + READY),
    "no_rows_where_some_must_be": lambda: _in_place_of_rows(columns(1) + message(b"C", b"SELECT 0\0")),
    "rows_that_are_no_json": lambda: _in_place_of_rows(columns(1) + row(SCRIPT) + message(b"C", b"SELECT 1\0")),
    "bytes_that_are_no_utf8": lambda: _in_place_of_rows(
        columns(9) + row(*[b"\xff\xfe\x00\r\nSet-Cookie: hostile=1"] * 9) + message(b"C", b"SELECT 1\0")
    ),
    "huge_error": lambda: _once(error(C=b"22000", M=SCRIPT * 100_000, D=b"d" * 5_000_000, H=b"h" * 5_000_000) + READY),
    "endless_errors": lambda: _repeat(error(C=b"22000", M=SCRIPT * 1000)),
    "error_of_control_characters": lambda: _once(
        error(C=b"22\r\n0", M=b"\x1b[2J\r\nSet-Cookie: hostile=1\r\n\r\n" + SCRIPT, D=b"\xff\xfe\x07") + READY
    ),
    "error_with_headers": lambda: _once(error(C=b"PGRST", M=_RAISED[0], D=_RAISED[1]) + READY),
    "error_with_a_status": lambda: _once(error(C=b"PT101", M=b"raised", D=SCRIPT) + READY),
    "copy_in": lambda: _once(BEFORE_ROWS + message(b"G", b"\0\0\0") + READY),
    "copy_out": lambda: _after(BEFORE_ROWS + message(b"H", b"\0\0\0"), _repeat(message(b"d", b"x" * 60_000))),
    "copy_both": lambda: _once(BEFORE_ROWS + message(b"W", b"\0\0\0") + READY),
    "endless_completions": lambda: _after(BEFORE_ROWS, _repeat(message(b"C", b"SELECT 1\0") * 1000)),
    "endless_readiness": lambda: _repeat(READY * 1000),
    "endless_parse_answers": lambda: _repeat(message(b"1") * 1000),
    "endless_suspensions": lambda: _after(BEFORE_ROWS + columns(1), _repeat(message(b"s") * 1000)),
    "rows_that_drip": lambda: _after(BEFORE_ROWS + columns(1), _drip(row(b"x" * 1000))),
    "authentication_again": lambda: _repeat(message(b"R", struct.pack("!I", 3)) * 100),
    "a_huge_setting": lambda: _once(setting("TimeZone", "x" * 10_000_000) + READY),
    "another_encoding": lambda: _once(setting("client_encoding", "SQL_ASCII") * 10 + READY),
    "an_answer_to_nothing_asked": lambda: _once(message(b"V", struct.pack("!i", -1)) + message(b"n") + READY * 3),
}
