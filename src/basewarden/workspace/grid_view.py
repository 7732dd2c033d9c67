"""What a grid shows, encoded in its URL: page, order, filters and columns. Invalid parameters are ignored."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from basewarden.workspace.columns import is_sortable
from basewarden.workspace.conditions import Condition, contains, escape_pattern, is_one_of
from basewarden.workspace.conditions import quote as quote_name
from pgrest import Table

SIZES = (25, 50, 100, 250)
DEFAULT_SIZE = 50
MAX_FILTERS = 20
MAX_CELLS = 20_000
"""The limit for one page: a table with many columns has fewer rows per page."""
_MAX_PAGE = 10_000_000


@dataclass(frozen=True, slots=True)
class Operator:
    words: str
    make: Callable[[str, str], Condition]
    takes_value: bool = True


def _compare(name: str) -> Callable[[str, str], Condition]:
    return lambda column, value: Condition(column, name, value)


def _test(name: str) -> Callable[[str, str], Condition]:
    return lambda column, _: Condition(column, name.partition(".")[0], name.partition(".")[2], is_encoded=True)


OPERATORS: dict[str, Operator] = {
    "eq": Operator("is", _compare("eq")),
    "neq": Operator("is not", _compare("neq")),
    "contains": Operator("contains", contains),
    "starts": Operator("starts with", lambda column, value: Condition(column, "ilike", f"{escape_pattern(value)}*")),
    "gt": Operator("is over", _compare("gt")),
    "gte": Operator("is at least", _compare("gte")),
    "lt": Operator("is under", _compare("lt")),
    "lte": Operator("is at most", _compare("lte")),
    "in": Operator("is one of (a, b)", lambda column, value: is_one_of(column, _split(value))),
    "null": Operator("is null", _test("is.null"), takes_value=False),
    "notnull": Operator("is not null", _test("is.not_null"), takes_value=False),
}


@dataclass(frozen=True, slots=True)
class GridFilter:
    column: str
    operator: str
    value: str

    @property
    def words(self) -> str:
        return OPERATORS[self.operator].words.partition(" (")[0]

    @property
    def shown_value(self) -> str:
        if not OPERATORS[self.operator].takes_value:
            return ""
        return self.value or "empty string"

    @property
    def condition(self) -> Condition:
        return OPERATORS[self.operator].make(self.column, self.value)

    @property
    def query(self) -> list[tuple[str, str]]:
        return [("column", self.column), ("operator", self.operator), ("value", self.value)]


@dataclass(frozen=True, slots=True)
class GridView:
    """`columns` empty = all; `sort` None = by key; `max_rows` bounds a page of a table with many columns."""

    path: str
    page: int = 1
    size: int = DEFAULT_SIZE
    sort: str | None = None
    descending: bool = False
    filters: tuple[GridFilter, ...] = ()
    columns: tuple[str, ...] = ()
    max_rows: int = MAX_CELLS

    @property
    def rows(self) -> int:
        """The number of rows per page."""
        return min(self.size, self.max_rows)

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.rows

    @property
    def href(self) -> str:
        query = self.query
        return f"{self.path}?{urlencode(query)}" if query else self.path

    @property
    def query(self) -> list[tuple[str, str]]:
        return [*self.filter_query, *self.kept_by_filters, *([("page", str(self.page))] if self.page > 1 else [])]

    @property
    def filter_query(self) -> list[tuple[str, str]]:
        return [pair for item in self.filters for pair in item.query]

    @property
    def kept_by_filters(self) -> list[tuple[str, str]]:
        """The parameters that a form for filters keeps; the page is reset."""
        return [*self._order_query, *[("columns", name) for name in self.columns]]

    @property
    def kept_by_columns(self) -> list[tuple[str, str]]:
        return [*self.filter_query, *self._order_query]

    @property
    def kept_by_size(self) -> list[tuple[str, str]]:
        return [pair for pair in self.query if pair[0] not in ("size", "page")]

    def at_page(self, page: int) -> "GridView":
        return replace(self, page=page)

    def without(self, item: GridFilter) -> "GridView":
        return replace(self, page=1, filters=tuple(kept for kept in self.filters if kept is not item))

    def without_filters(self) -> "GridView":
        return replace(self, page=1, filters=())

    def sorted_by(self, column: str) -> "GridView":
        """Cycles through ascending, descending and the default order."""
        if self.sort != column:
            return replace(self, page=1, sort=column, descending=False)
        return replace(self, page=1, sort=None if self.descending else column, descending=not self.descending)

    @property
    def unsorted(self) -> "GridView":
        return replace(self, page=1, sort=None, descending=False)

    def sort_of(self, column: str) -> str | None:
        if self.sort != column:
            return None
        return "descending" if self.descending else "ascending"

    def order(self, table: Table) -> str:
        """Returns the order, with the key last, so that pages neither repeat nor skip a row."""
        first = [f"{quote_name(self.sort)}.{'desc' if self.descending else 'asc'}.nullslast"] if self.sort else []
        rest = [f"{quote_name(column)}.asc" for column in table.key if column != self.sort]
        return ",".join([*first, *rest])

    @property
    def _order_query(self) -> list[tuple[str, str]]:
        sort = [("sort", self.sort)] if self.sort else []
        direction = [("dir", "desc")] if self.descending else []
        size = [("size", str(self.size))] if self.size != DEFAULT_SIZE else []
        return [*sort, *direction, *size]


def read_view(path: str, table: Table, query: QueryParams) -> GridView:
    size = _read_number(query.get("size"), DEFAULT_SIZE)
    columns = tuple(name for name in table.columns if name in query.getlist("columns"))
    sort = query.get("sort", "")
    can_sort = sort in table.columns and is_sortable(table.columns[sort])
    return GridView(
        path=path,
        page=min(max(_read_number(query.get("page"), 1), 1), _MAX_PAGE),
        size=size if size in SIZES else DEFAULT_SIZE,
        max_rows=max(1, MAX_CELLS // max(1, len(columns or table.columns))),
        sort=sort if can_sort else None,
        descending=can_sort and query.get("dir") == "desc",
        filters=tuple(_read_filters(table, query)),
        columns=columns,
    )


def _read_filters(table: Table, query: QueryParams) -> list[GridFilter]:
    found = zip(query.getlist("column"), query.getlist("operator"), query.getlist("value"), strict=False)
    return [GridFilter(*parts) for parts in found if parts[0] in table.columns and parts[1] in OPERATORS][:MAX_FILTERS]


def _read_number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else default


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]
