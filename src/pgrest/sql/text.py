"""The one place where text becomes SQL: values become parameters and names are quoted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pgrest import errors
from pgrest.config import Name
from pgrest.query.grammar.nodes import Compare
from pgrest.query.payload import Payload
from pgrest.schema.model import OwnOperators

_BACKSLASH = "\\"


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with `$1`… and its parameters in text format."""

    sql: str
    params: tuple[bytes | None, ...] = ()
    is_guard: bool = False
    """A SELECT that fails where user code has prepared statements: one may have the name of one of ours."""


class Builder:
    """Collects the parameters of one statement while its text is put together."""

    __slots__ = ("_params", "origins")

    def __init__(self) -> None:
        self._params: list[bytes | None] = []
        self.origins: list[tuple[int, Compare | Payload]] = []
        """Which parameters are the values of comparisons, or the body."""

    def param(self, value: str | bytes | None, origin: Compare | Payload | None = None) -> str:
        """The placeholder that stands for `value`, which goes to the server apart from the text."""
        if origin is not None:
            self.origins.append((len(self._params), origin))
        self._params.append(to_parameter(value))
        return f"${len(self._params)}"

    def statement(self, sql: str) -> Statement:
        return Statement(sql, tuple(self._params))


def to_parameter(value: str | bytes | None) -> bytes | None:
    """Text parameters end at a zero byte, so one that holds it would silently be cut."""
    if isinstance(value, str):
        try:
            value = value.encode()
        except UnicodeEncodeError:
            raise errors.not_utf8("a value") from None
    if value is not None and b"\0" in value:
        raise errors.zero_byte()
    return value


def quote_ident(name: str) -> str:
    """The only way for a name into SQL."""
    if "\0" in name:
        raise errors.zero_byte()
    return '"' + name.replace('"', '""') + '"'


def quote_name(name: Name) -> str:
    schema, local = name
    return f"{quote_ident(schema)}.{quote_ident(local)}" if schema else quote_ident(local)


def quote_column(relation: str, column: str) -> str:
    """`relation` is already quoted; `*` means all columns."""
    return f"{relation}.*" if column == "*" else f"{relation}.{quote_ident(column)}"


def operator_sql(own: OwnOperators | None, symbol: str) -> str:
    """An operator by its schema: another of its name, made by anybody for these very types, is never taken for it.

    `own` are those of the left operand's type, where that is not PostgreSQL's own.
    """
    schema = own.schema if own is not None and symbol in own.names else "pg_catalog"
    return f"OPERATOR({quote_ident(schema)}.{symbol})"


def unnest_sql(arrays: Sequence[str]) -> str:
    """Arrays side by side as the columns of a relation, for FROM."""
    return f"ROWS FROM ({', '.join(f'pg_catalog.unnest({array})' for array in arrays)})"


def quote_list(names: Iterable[str]) -> str:
    return ", ".join(quote_ident(name) for name in names)


def quote_literal(text: str) -> str:
    """A catalogue name as a string constant; nothing that a client sends ever comes here."""
    escaped = text.replace("'", "''")
    return f"E'{escaped.replace(_BACKSLASH, _BACKSLASH * 2)}'" if _BACKSLASH in escaped else f"'{escaped}'"


def array_literal(values: Iterable[str]) -> str:
    """A text array as one parameter: `{"a","b"}`."""
    return "{" + ",".join(f'"{_escape_element(value)}"' for value in values) + "}"


def _escape_element(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


_TYPE_WORDS = {
    "bigint": "int8",
    "bit varying": "varbit",
    "boolean": "bool",
    "char": "bpchar",
    "character": "bpchar",
    "character varying": "varchar",
    "char varying": "varchar",
    "dec": "numeric",
    "decimal": "numeric",
    "double precision": "float8",
    "float": "float8",
    "int": "int4",
    "integer": "int4",
    "national character": "bpchar",
    "real": "float4",
    "smallint": "int2",
    "time with time zone": "timetz",
    "time without time zone": "time",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
}
"""The type names that SQL spells with keywords, which cannot be quoted, and the types they stand for."""
_TYPE_NAMES = frozenset(
    {
        *_TYPE_WORDS.values(),
        *("text", "name", "bytea", "json", "jsonb", "jsonpath", "uuid", "xml", "date", "interval", "numeric", "money"),
        *("inet", "cidr", "macaddr", "macaddr8", "bit", "oid", "regclass", "regtype", "tsvector", "tsquery"),
        *("point", "line", "lseg", "box", "path", "polygon", "circle", "pg_lsn"),
        *("int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"),
    }
)
"""PostgreSQL's own, which no other type of the same name may replace."""
_TELLING_TYPES = frozenset({"regclass", "regtype"})
"""A number or a text becomes the name of a table or type, or an error that there is none."""


def quote_type(name: str) -> str:
    """A type as a client names it in a cast: folded to lower case like an unquoted name."""
    folded = " ".join(name.lower().split())
    known = _TYPE_WORDS.get(folded, folded)
    return f"pg_catalog.{quote_ident(known)}" if known in _TYPE_NAMES else quote_ident(folded)


def is_own_type(name: str) -> bool:
    """Whether a cast's type is one of PostgreSQL's own, which runs no code of the database's and tells no names."""
    folded = " ".join(name.lower().split())
    return _TYPE_WORDS.get(folded, folded) in _TYPE_NAMES - _TELLING_TYPES
