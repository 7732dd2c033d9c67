"""A database's schema as flat items, each with its facts: compared by value and stored as compressed JSON.

It holds what the catalog says of objects, such as defaults and policies, and never a value of a row.
"""

import re
import zlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

MOST_BYTES: Final = 32_000_000
"""Of JSON; the structure of 5,000 tables has some 10 million."""
_LEVEL: Final = 6
_ZERO_BYTE: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class ItemKind(StrEnum):
    """In the order in which objects need each other."""

    SCHEMA = "schema"
    EXTENSION = "extension"
    TYPE = "type"
    SEQUENCE = "sequence"
    TABLE = "table"
    COLUMN = "column"
    CONSTRAINT = "constraint"
    INDEX = "index"
    FUNCTION = "function"
    VIEW = "view"
    TRIGGER = "trigger"
    POLICY = "policy"
    GRANT = "grant"
    DEFAULT_GRANT = "default privilege"


class ItemKey(NamedTuple):
    """What an item is about.

    `part` is a column, constraint, index, trigger or policy of the object `name`, or a function's arguments. Of a
    grant, `on` is the kind of object and `role` who has it; the empty role is PUBLIC. A default privilege is that of
    the objects that the role `name` creates, of the kind `part`.
    """

    kind: ItemKind
    schema: str
    name: str
    part: str = ""
    on: str = ""
    role: str = ""


Facts = Mapping[str, Any]
Structure = Mapping[ItemKey, Facts]
"""In the catalog's order, so that the columns of a table are in theirs."""


class StructureNotKept(Exception):
    """Its text says why, for people."""


def encode_structure(structure: Structure) -> bytes:
    """Raises StructureNotKept."""
    encoded = msgspec.json.encode(list(structure.items()))
    if len(encoded) > MOST_BYTES:
        raise StructureNotKept("The schema is too large to be kept.")
    if _ZERO_BYTE.search(encoded):
        raise StructureNotKept("The database answered a zero byte, which no PostgreSQL does.")
    return zlib.compress(encoded, _LEVEL)


def decode_structure(body: bytes) -> Structure:
    return dict(msgspec.json.decode(zlib.decompress(body), type=list[tuple[ItemKey, dict[str, Any]]]))
