"""Rows as a project's API returns them: the select list that makes them whole, and their images.

A select list may rename and cast columns. So one response holds the client's own selection, every column as PostgREST
shows it, and PostgreSQL's exact text where the two differ. No value passes through a float.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import msgspec

from basewarden.connections.rest import ProtocolError, check_elements
from basewarden.gateway.recording.cascades import Identity
from basewarden.journal import Image
from pgrest import Table, split_select, write_name

JsonRow = Mapping[str, msgspec.Raw]
ADDRESS = ("tableoid", "ctid")
"""Identifies rows without a key, until they are written."""

# Types whose JSON holds the very text that PostgreSQL itself writes: as a string, a number or a boolean.
_PLAIN = frozenset(
    {
        *("smallint", "integer", "bigint", "numeric", "real", "double precision", "money", "oid", "boolean"),
        *("text", "character", "character varying", "citext", "name", "uuid", "bytea", "bit", "bit varying", "xml"),
        *("inet", "cidr", "macaddr", "macaddr8", "interval", "time without time zone", "time with time zone"),
        *("point", "line", "lseg", "box", "path", "polygon", "circle", "tsvector", "tsquery"),
        *("int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"),
        *("int4multirange", "int8multirange", "nummultirange", "tsmultirange", "tstzmultirange", "datemultirange"),
    }
)
_ZONED = frozenset({"tstzrange", "tstzmultirange"})
_LENGTH = re.compile(r"\([^)]*\)")
_JSON_TYPES = ("json", "jsonb")
_NULL = b"null"
_NOT_QUOTED = {b"true": "t", b"false": "f"}

_LARGE_BYTES = 64 * 1024
T = TypeVar("T")

_decode_rows = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_decode_row = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


class VersionedRow(NamedTuple):
    """A row as it was read. `version` is another one after every change of the row: its transaction (xmin)."""

    image: Image
    identity: Identity
    version: str


class ReturnedRow(NamedTuple):
    """A row that a write returned: what the client asked to see of it, and all of it.

    `is_update`: an upsert found it there (None = not known). `transaction` is the write's, where it was asked for.
    """

    shown: JsonRow
    image: Image
    is_update: bool | None
    transaction: str | None = None


class UnreadableAnswer(ValueError):
    """What came is not the rows that were asked for."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A select list. `shown` and `exact` say under which name each column comes; `own` are the names that we added."""

    table: Table
    items: tuple[str, ...]
    shown: Mapping[str, str]
    exact: Mapping[str, str]
    own: frozenset[str]
    prefix: str

    @property
    def text(self) -> str:
        return ",".join(self.items)

    def read_versioned(self, body: bytes) -> list[VersionedRow]:
        """Raises UnreadableAnswer, also when the table has other columns than the snapshot knows."""
        rows = decode_rows(body)
        known = self.own | self.table.columns.keys()
        if any(row.keys() != known for row in rows):
            raise UnreadableAnswer("other columns than expected")
        return [self._make_versioned(row) for row in rows]

    def read_returned(self, body: bytes) -> list[ReturnedRow]:
        return [self._make_returned(row) for row in decode_rows(body)]

    def _make_versioned(self, row: JsonRow) -> VersionedRow:
        image = self._make_image(row)
        if self.table.key:
            identity = image.key(self.table.key)
        else:
            identity = tuple(read_text(row[self.prefix + name]) or "" for name in ADDRESS)
        return VersionedRow(image, identity, read_text(row[f"{self.prefix}xmin"]) or "")

    def _make_returned(self, row: JsonRow) -> ReturnedRow:
        xmin, xmax = (row.get(self.prefix + name) for name in ("xmin", "xmax"))
        shown = {name: value for name, value in row.items() if name not in self.own}
        is_update = None if xmax is None else read_text(xmax) != "0"
        return ReturnedRow(shown, self._make_image(row), is_update, read_text(xmin if xmax is None else xmax))

    def _make_image(self, row: JsonRow) -> Image:
        """A name that is missing was null: some answers leave nulls out."""
        exact: dict[str, str | None] = {}
        shown: dict[str, msgspec.Raw] = {}
        for name, column in self.table.columns.items():
            token = row.get(self.shown[name], msgspec.Raw(_NULL))
            text = read_text(row.get(self.exact[name]) if name in self.exact else token)
            exact[name] = text
            is_json = text is not None and column.type in _JSON_TYPES
            shown[name] = msgspec.Raw((text or "").encode()) if is_json else token
        return Image(exact, msgspec.json.encode(shown))


async def read_apart(read: Callable[[bytes], T], body: bytes) -> T:
    """What `read` makes of the body; of a large one in a thread, since hundreds of thousands of rows take seconds."""
    return read(body) if len(body) <= _LARGE_BYTES else await asyncio.to_thread(read, body)


def select_for_reading(table: Table) -> Selection:
    """Every column that is there now, whatever the snapshot knows; and the row's version."""
    prefix = _choose_prefix(table, "")
    exact = _name_exact(table, prefix)
    system = ("xmin",) if table.key else ("xmin", *ADDRESS)
    items = ("*", *_cast_items(exact), *(f"{prefix}{name}:{name}::text" for name in system))
    own = frozenset({*exact.values(), *(prefix + name for name in system)})
    return Selection(table, items, {name: name for name in table.columns}, exact, own, prefix)


def select_for_writing(table: Table, asked: str | None, *, system: Literal["xmin", "xmax"] | None = None) -> Selection:
    """`asked` is the client's own select list, None when it wants to see nothing.

    `system` is a column that a star does not hold: then columns are spelled out. Of upserted rows, xmax shows which are
    updates; else xmax of deleted rows and xmin of others are the transaction of the write.
    """
    prefix = _choose_prefix(table, asked or "")
    exact = _name_exact(table, prefix)
    system_columns = (f"{prefix}{system}:{system}::text",) if system else ()
    stars = tuple(write_name(name) for name in table.columns) if system else ("*",)
    wanted = ["*"] if asked is None else split_select(asked)
    items = [one for item in wanted for one in (stars if item == "*" else (item,))]
    own = frozenset({*exact.values(), f"{prefix}{system}"})
    if wanted == ["*"]:
        return Selection(
            table,
            (*items, *_cast_items(exact), *system_columns),
            {name: name for name in table.columns},
            exact,
            own,
            prefix,
        )
    shown = {name: f"{prefix}s{place}" for place, name in enumerate(table.columns)}
    named = (f"{key}:{write_name(name)}" for name, key in shown.items())
    return Selection(
        table,
        (*items, *named, *_cast_items(exact), *system_columns),
        shown,
        exact,
        own | frozenset(shown.values()),
        prefix,
    )


def select_some(table: Table, names: Iterable[str]) -> Selection:
    """Of every row these columns alone; `read_returned` gives images that hold no more."""
    part = msgspec.structs.replace(table, columns={name: table.columns[name] for name in dict.fromkeys(names)})
    prefix = _choose_prefix(table, "")
    exact = _name_exact(part, prefix)
    shown = {name: f"{prefix}s{place}" for place, name in enumerate(part.columns)}
    items = (*(f"{key}:{write_name(name)}" for name, key in shown.items()), *_cast_items(exact))
    return Selection(part, items, shown, exact, frozenset({*shown.values(), *exact.values()}), prefix)


def decode_rows(body: bytes) -> Sequence[JsonRow]:
    """Of an array, or of one object alone."""
    try:
        check_elements(body)
        return [_decode_row(body)] if body.lstrip()[:1] == b"{" else _decode_rows(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ProtocolError) as error:
        raise UnreadableAnswer("no rows of JSON") from error


def is_time_zone_free(table: Table) -> bool:
    """No column's text depends on the session's time zone."""
    return all(_base_type(column.type) in _PLAIN - _ZONED for column in table.columns.values())


def _name_exact(table: Table, prefix: str) -> dict[str, str]:
    return {
        name: f"{prefix}e{place}"
        for place, (name, column) in enumerate(table.columns.items())
        if _base_type(column.type) not in _PLAIN
    }


def _cast_items(exact: Mapping[str, str]) -> Iterable[str]:
    return (f"{key}:{write_name(name)}::text" for name, key in exact.items())


def _base_type(name: str) -> str:
    return _LENGTH.sub("", name)


def _choose_prefix(table: Table, asked: str) -> str:
    prefix = "bw_"
    while prefix in asked or any(name.startswith(prefix) for name in table.columns):
        prefix = f"bw{prefix}"
    return prefix


def read_text(token: msgspec.Raw | None) -> str | None:
    """PostgreSQL's own text, from JSON that holds it."""
    value = _NULL if token is None else bytes(token)
    if value == _NULL:
        return None
    return _decode_text(value) if value[:1] == b'"' else _NOT_QUOTED.get(value) or value.decode()
