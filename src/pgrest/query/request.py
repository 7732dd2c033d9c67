"""What the client asks for, read from HTTP and not yet held against any database."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import Literal
from urllib.parse import quote, unquote_to_bytes

from pgrest import errors
from pgrest.config import RestConfig
from pgrest.query.grammar import media
from pgrest.query.grammar.filters import (
    PathFilter,
    PathLogic,
    parse_argument_or_filter,
    parse_filter,
    parse_logic,
    parse_tree_path,
)
from pgrest.query.grammar.media import MediaType, parse_accept, parse_media_type
from pgrest.query.grammar.nodes import EmbedPath, OrderTerm, SelectItem
from pgrest.query.grammar.order import parse_columns, parse_order
from pgrest.query.grammar.prefer import Preferences, parse_preferences
from pgrest.query.grammar.scanner import ParseError
from pgrest.query.grammar.select import parse_select
from pgrest.query.payload import (
    Payload,
    check_content_type,
    count_pairs,
    parse_payload,
    split_optional_pairs,
)
from pgrest.query.ranges import ALL_ROWS, NO_ROWS, Range, parse_range_header, range_of

MOST_PARAMETERS = 1000
METHODS_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))
"""What others send is not read."""
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")  # stands for itself in an address
_LONGEST_USUAL = 200
_first = itemgetter(0)
_DECIDING = frozenset((b"accept", b"accept-profile", b"content-profile", b"content-type", b"range"))
_RESERVED = frozenset(("select", "columns", "on_conflict"))
_RESERVED_ENDINGS = frozenset(("order", "limit", "offset", "and", "or"))
_METHODS = {
    "table": ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
    "function": ("GET", "HEAD", "POST", "OPTIONS"),
    "root": ("GET", "HEAD", "OPTIONS"),
}


@dataclass(frozen=True, slots=True)
class Resource:
    kind: Literal["table", "function", "root"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """The query string. The parts of embedded resources carry their path."""

    select: tuple[SelectItem, ...]
    filters: tuple[PathFilter, ...] = ()
    logic: tuple[PathLogic, ...] = ()
    orders: tuple[tuple[EmbedPath, tuple[OrderTerm, ...]], ...] = ()
    ranges: tuple[tuple[EmbedPath, Range], ...] = ()
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    filter_keys: frozenset[str] = frozenset()
    pairs: tuple[tuple[str, str | None], ...] = ()
    """As they came, decoded."""

    @property
    def canonical(self) -> str:
        return make_canonical(self.pairs)

    def list_deciding_fields(self) -> Iterator[tuple[EmbedPath, str]]:
        """What rows are filtered and ordered by, each with the path of its resource."""
        conditions = [(one.path, one.filter) for one in self.filters] + [(one.path, one.logic) for one in self.logic]
        for path, condition in conditions:
            yield from ((path, name) for field in condition.fields() for name in field.list_names())
        for path, terms in self.orders:
            places = [((*path, term.relation) if term.relation else path, term.field) for term in terms]
            yield from ((place, name) for place, field in places for name in field.list_names())


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    resource: Resource
    schema: str
    is_schema_negotiated: bool
    query: Query
    top_range: Range
    payload: Payload | None
    preferences: Preferences
    accept: tuple[MediaType, ...]
    content_type: MediaType
    raw_headers: Sequence[tuple[bytes, bytes]]

    @property
    def is_head(self) -> bool:
        return self.method == "HEAD"

    @property
    def is_call_by_get(self) -> bool:
        return self.resource.kind == "function" and self.method in ("GET", "HEAD")


def parse_request(
    method: str,
    path: str,
    query: bytes,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
    *,
    config: RestConfig | None = None,
    is_timezone: Callable[[str], bool] = lambda _: False,
    raw_path: bytes | None = None,
) -> Request:
    """`parse_head` and `attach_body` in one."""
    config = config or RestConfig()
    head = parse_head(
        method,
        path,
        query,
        headers,
        config=config,
        is_timezone=is_timezone,
        raw_path=raw_path,
        body_bytes=len(body),
    )
    return attach_body(head, body)


def parse_head(
    method: str,
    path: str,
    query: bytes,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    config: RestConfig,
    is_timezone: Callable[[str], bool] = lambda _: False,
    raw_path: bytes | None = None,
    body_bytes: int = 0,
) -> Request:
    """Everything that is known before the body is; `payload` is None. Raises PgrestError.

    `path` is decoded and relative to the API's root; header names are lower case, as in ASGI. `raw_path` is the same as
    it came: only that tells a slash in a name from one between names.
    """
    raw_headers = tuple(headers)
    by_name = _read_headers(raw_headers)
    resource = _find_resource(_split_path(path) if raw_path is None else _split_raw_path(raw_path), config)
    schema, is_negotiated = _choose_schema(method, by_name, config)
    _check_method(resource, method)
    if body_bytes > config.max_body_bytes:
        raise errors.body_too_large(config.max_body_bytes)
    is_call = resource.kind == "function"
    parsed = _parse_query(query, is_call_by_get=is_call and method in ("GET", "HEAD"))
    top_range = _top_range(method, parsed, by_name.get("range"))
    content_type = _content_type(by_name)
    if method in METHODS_WITH_BODY:
        check_content_type(content_type, is_call=is_call)
    preferences = parse_preferences(
        [value.decode("utf-8", "replace") for name, value in raw_headers if name == b"prefer"],
        allow_tx=config.tx_override,
        is_timezone=is_timezone,
    )
    return Request(
        method=method,
        path=path if raw_path is None else raw_path.decode("latin-1"),
        resource=resource,
        schema=schema,
        is_schema_negotiated=is_negotiated,
        query=parsed,
        top_range=top_range,
        payload=None,
        preferences=preferences,
        accept=parse_accept(by_name.get("accept")),
        content_type=content_type,
        raw_headers=raw_headers,
    )


def attach_body(head: Request, body: bytes) -> Request:
    """The whole request. Raises PgrestError."""
    is_call = head.resource.kind == "function"
    payload = read_payload(head.method, body, head.content_type, head.query.columns, is_call=is_call)
    return head if payload is None else replace(head, payload=payload)


def _read_headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Those that decide what is asked; the first of each name."""
    return {
        name.decode("latin-1"): value.decode("utf-8", "replace") for name, value in reversed(raw) if name in _DECIDING
    }


def _split_path(path: str) -> list[str]:
    return path.removeprefix("/").split("/")


def _split_raw_path(path: bytes) -> list[str]:
    """What is not UTF-8 becomes a name that nothing has."""
    return [unquote_to_bytes(part).decode("utf-8", "replace") for part in path.removeprefix(b"/").split(b"/")]


def _find_resource(parts: Sequence[str], config: RestConfig) -> Resource:
    match parts:
        case [""]:
            if config.openapi_mode == "disabled":
                raise errors.openapi_off()
            return Resource("function", config.root_spec[1]) if config.root_spec else Resource("root")
        case ["rpc", name]:
            return Resource("function", name)
        case [name]:
            return Resource("table", name)
    raise errors.bad_path()


def _choose_schema(method: str, headers: Mapping[str, str], config: RestConfig) -> tuple[str, bool]:
    writes = method in ("POST", "PUT", "PATCH", "DELETE")
    profile = headers.get("content-profile" if writes else "accept-profile")
    if profile is None:
        return config.schemas[0], len(config.schemas) > 1
    if profile not in config.schemas:
        raise errors.schema_not_exposed(profile, config.schemas)
    return profile, True


def _check_method(resource: Resource, method: str) -> None:
    if method in _METHODS[resource.kind]:
        return
    if resource.kind == "function":
        raise errors.rpc_method_not_allowed(method)
    raise errors.method_not_supported(method)


def _content_type(headers: Mapping[str, str]) -> MediaType:
    given = headers.get("content-type")
    return media.JSON if given is None else parse_media_type(given)


# The query string ---------------------------------------------------------------------------------------


def _parse_query(query: bytes, *, is_call_by_get: bool) -> Query:
    if count_pairs(query) > MOST_PARAMETERS:
        raise errors.too_many_parameters(MOST_PARAMETERS)
    pairs = split_optional_pairs(query, "the query string")
    given = [(key, value) for key, value in pairs if value is not None]
    try:
        return _read_query(pairs, given, is_call_by_get=is_call_by_get)
    except ParseError as error:
        raise errors.parse_failed(error.message, error.details) from None


def make_canonical(pairs: Iterable[tuple[str, str | None]]) -> str:
    """The query string with its names in order, for Content-Location."""
    values: dict[str, list[str]] = {}
    for key, value in sorted(pairs, key=_first):
        values.setdefault(key, []).append(_quote(value or ""))
    return "&".join([f"{_quote(key)}={','.join(group)}" for key, group in values.items()])


def _quote(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return _quote_usual(text) if len(text) <= _LONGEST_USUAL else quote(text, safe="-_.~")


@lru_cache(maxsize=2048)
def _quote_usual(text: str) -> str:
    """Of what comes again and again: the columns that are selected, the order."""
    return quote(text, safe="-_.~")


def is_filter(key: str) -> bool:
    """Whether a name of the query string is a column's, or an argument's."""
    return key not in _RESERVED and key.rpartition(".")[2] not in _RESERVED_ENDINGS


def _read_query(
    pairs: Sequence[tuple[str, str | None]], given: Sequence[tuple[str, str]], *, is_call_by_get: bool
) -> Query:
    """Reads in PostgREST's order, since the first error is the one that is reported."""
    first = dict(reversed(pairs))
    keyed = [(key, value, key.rpartition(".")[2]) for key, value in given]
    orders = tuple(parse_order(key, value) for key, value, ending in keyed if ending == "order")
    logic = tuple(parse_logic(key, value) for key, value, ending in keyed if ending in ("and", "or"))
    columns = _read_columns(first.get("columns"), "columns")
    selected = first.get("select")
    select = parse_select("*" if selected is None else selected)
    filter_pairs = [(key, value) for key, value in given if is_filter(key)]
    filters, arguments = _read_filters(filter_pairs, is_call_by_get=is_call_by_get)
    return Query(
        select=select,
        filters=filters,
        logic=logic,
        orders=orders,
        columns=columns,
        on_conflict=_read_columns(first.get("on_conflict"), "on_conflict"),
        ranges=tuple(_read_ranges(keyed)),
        arguments=arguments,
        filter_keys=frozenset(key for key, _ in filter_pairs),
        pairs=tuple(pairs),
    )


def _read_columns(text: str | None, parameter: str) -> tuple[str, ...] | None:
    return None if text is None else parse_columns(text, parameter)


def _read_filters(
    pairs: Iterable[tuple[str, str]], *, is_call_by_get: bool
) -> tuple[tuple[PathFilter, ...], tuple[tuple[str, str], ...]]:
    if not is_call_by_get:
        return tuple(parse_filter(key, value) for key, value in pairs), ()
    read = [parse_argument_or_filter(key, value) for key, value in pairs]
    filters = tuple(item for item in read if isinstance(item, PathFilter))
    return filters, tuple(item for item in read if not isinstance(item, PathFilter))


def _read_ranges(keyed: Iterable[tuple[str, str, str]]) -> Iterable[tuple[EmbedPath, Range]]:
    limits: dict[str, str] = {}
    offsets: dict[str, str] = {}
    for key, value, ending in keyed:
        if ending == "limit":
            limits[key.removesuffix("limit")] = value
        elif ending == "offset":
            offsets[key.removesuffix("offset")] = value
    for prefix in {**limits, **offsets}:
        path, _ = parse_tree_path(f"{prefix}limit")
        yield path, range_of(limits.get(prefix), offsets.get(prefix))


def _top_range(method: str, query: Query, header: str | None) -> Range:
    """The Range header counts for GET only (RFC 9110)."""
    asked = dict(query.ranges).get((), ALL_ROWS)
    from_header = parse_range_header(header) if method == "GET" else ALL_ROWS
    both = NO_ROWS if asked.is_zero else asked.intersect(from_header)
    if from_header.is_empty and not asked.is_zero:
        text = "The lower boundary must be lower than or equal to the upper boundary in the Range header."
        raise errors.bad_range(text)
    if both.is_empty and not asked.is_zero:
        raise errors.bad_range("Limit should be greater than or equal to zero.")
    if method == "PUT" and both != ALL_ROWS:
        raise errors.put_with_limit()
    return both


def read_payload(
    method: str, body: bytes, content_type: MediaType, columns: tuple[str, ...] | None, *, is_call: bool
) -> Payload | None:
    if method not in METHODS_WITH_BODY:
        return None
    return parse_payload(body, content_type, None if method == "PUT" else columns, is_call=is_call)
