"""The view that the client asked for, and its response, without what was requested in addition."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote_plus

import msgspec

from basewarden.gateway.api.row_images import JsonRow, ReturnedRow
from basewarden.gateway.api.upstream import Header, UpstreamResponse
from basewarden.gateway.recording.capturable import (
    aggregates_returned,
    csv_not_of_columns,
    inner_join_returned,
    plan_returned,
)
from pgrest import (
    MediaType,
    Request,
    Response,
    SelectField,
    SelectRelation,
    Table,
    media,
    media_not_available,
    split_query,
)

Shape = Literal["array", "object", "csv"]
_ANY_ARRAY = (media.JSON, media.ANY)
_STRIPPED_ARRAY = "application/vnd.pgrst.array+json"
# What belongs to the upstream's message and not to ours, or what we say ourselves.
_NOT_PASSED_ON = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "upgrade"),
        *("content-encoding", "content-length", "content-range", "location", "preference-applied"),
    }
)
_OF_A_BODY = frozenset({"content-type", "content-profile"})
_CREATED, _NO_CONTENT = 201, 204
_IN_RECORDS = frozenset('"\\(), \t\n\v\f\r')  # what PostgreSQL quotes a field of a record for


@dataclass(frozen=True, slots=True)
class View:
    """`selected` is the client's own select list, None when it wants no rows back."""

    shape: Shape
    media: MediaType
    selected: str | None

    @property
    def accept(self) -> str:
        """What is asked of upstream: one object alone where that is a condition of the write."""
        return "application/json" if self.shape == "csv" else self.media.mime()


def choose_view(request: Request, query: bytes, table: Table) -> View:
    """Raises what PostgREST would, or NotCaptured for a view through which not every written row can be seen."""
    is_shown = request.preferences.returning == "representation"
    shape, chosen = _choose_shape(request.accept)
    if not is_shown:
        return View(shape, chosen, None)
    for item in request.query.select:
        if isinstance(item, SelectRelation):
            _check_relation(item)
        elif item.aggregate is not None:
            raise aggregates_returned()
    if shape == "csv":
        _check_csv(request, table)
    return View(shape, chosen, dict(reversed(split_query(query))).get("select", "*"))


def _choose_shape(accepted: Sequence[MediaType]) -> tuple[Shape, MediaType]:
    for one in accepted:
        if one.plan is not None:
            raise plan_returned()
        if one.is_singular:
            return "object", one
        if one in _ANY_ARRAY:
            return "array", media.JSON
        if one.name == _STRIPPED_ARRAY:
            return "array", one
        if one == media.CSV:
            return "csv", one
    raise media_not_available(one.mime() for one in accepted)


def _check_relation(item: SelectRelation) -> None:
    if item.join == "inner":
        raise inner_join_returned(item.name)
    if item.is_spread and any(isinstance(one, SelectField) and one.aggregate is not None for one in item.items):
        raise aggregates_returned()


def _check_csv(request: Request, table: Table) -> None:
    """Only the text of plain columns is known exactly as CSV has it."""
    for item in request.query.select:
        if not isinstance(item, SelectField) or not _is_column(item, table):
            raise csv_not_of_columns()


def _is_column(item: SelectField, table: Table) -> bool:
    return item.field.name in ("*", *table.columns) and item.cast is None and not item.field.path


def make_answer(
    request: Request, table: Table, view: View, answer: UpstreamResponse, rows: Sequence[ReturnedRow]
) -> Response:
    """`answer` is what upstream said to the last request that wrote any of `rows`."""
    is_shown = view.selected is not None
    body = _make_body(request, table, view, rows) if is_shown else b""
    status = answer.status if is_shown or request.method == "POST" or answer.status > 201 else 204
    headers = [
        (name, value)
        for name, value in answer.headers
        if name.lower() not in _list_hidden(request) and (is_shown or name.lower() not in _OF_A_BODY)
    ]
    if view.shape == "csv" and is_shown:
        headers = [pair for pair in headers if pair[0].lower() != "content-type"]
        headers.append(("Content-Type", media.CSV.content_type()))
    headers += _location(request, table, rows)
    headers += _content_range(request, len(rows))
    headers += _applied(request, answer)
    if status != 204:
        headers.append(("Content-Length", str(len(body))))
    return Response(status, tuple(headers), body)


def leave_rows_out(response: Response) -> Response:
    """The answer to a write without its rows, as `return=minimal` has it."""
    hidden = _OF_A_BODY | {"preference-applied", "content-length"}
    headers = [pair for pair in response.headers if pair[0].lower() not in hidden]
    if response.status == _CREATED:
        return Response(_CREATED, (*headers, ("Content-Length", "0")), b"")
    return Response(_NO_CONTENT, tuple(headers), b"")


def pass_on(request: Request, answer: UpstreamResponse) -> Response:
    """As it came: a refusal, or what a function answers."""
    hidden = _list_hidden(request) - {"content-range", "location", "preference-applied"}
    headers = [pair for pair in answer.headers if pair[0].lower() not in hidden]
    if answer.status != 204:
        headers.append(("Content-Length", str(len(answer.body))))
    return Response(answer.status, tuple(headers), answer.body)


def _make_body(request: Request, table: Table, view: View, rows: Sequence[ReturnedRow]) -> bytes:
    if view.shape == "csv":
        return _make_csv(request, table, rows)
    shown = [row.shown for row in rows]
    return msgspec.json.encode(shown[0] if view.shape == "object" and shown else shown)


def _make_csv(request: Request, table: Table, rows: Sequence[ReturnedRow]) -> bytes:
    columns = [pair for item in request.query.select if isinstance(item, SelectField) for pair in _name(item, table)]
    names = ",".join(alias for alias, _ in columns) if rows else ""
    lines = [",".join(_field(row.image.exact[column]) for _, column in columns) for row in rows]
    return "\n".join([names, *(lines or [""])]).encode()


def _name(item: SelectField, table: Table) -> Iterable[tuple[str, str]]:
    if item.field.name == "*":
        return ((name, name) for name in table.columns)
    return ((item.alias or item.field.name, item.field.name),)


def _field(text: str | None) -> str:
    """As PostgreSQL writes a field of a record, which is what PostgREST's CSV is made of."""
    if text is None:
        return ""
    if text and _IN_RECORDS.isdisjoint(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '""')
    return f'"{escaped}"'


def _list_hidden(request: Request) -> frozenset[str]:
    """The schema is always named to the project, and returned only to a client that could have named another."""
    return _NOT_PASSED_ON if request.is_schema_negotiated else _NOT_PASSED_ON | {"content-profile"}


# Headers ------------------------------------------------------------------------------------------------


def _content_range(request: Request, count: int) -> list[Header]:
    if request.method == "PUT":
        return []
    total = str(count) if request.preferences.counts_exactly else "*"
    rows = f"0-{count - 1}" if request.method == "PATCH" and count else "*"
    return [("Content-Range", f"{rows}/{total}")]


def _location(request: Request, table: Table, rows: Sequence[ReturnedRow]) -> list[Header]:
    """The place of the first row, in PostgREST's form."""
    if request.method != "POST" or request.preferences.returning != "headers-only" or not rows or not table.primary_key:
        return []
    shown = msgspec.json.decode(rows[0].image.shown, type=dict[str, msgspec.Raw])
    parts = (f"{quote_plus(name)}={quote_plus(_condition(shown, name))}" for name in table.primary_key)
    return [("Location", f"/{table.name}?{'&'.join(parts)}")]


def _condition(shown: JsonRow, name: str) -> str:
    token = bytes(shown[name])
    if token == b"null":
        return "is.null"
    is_text = token.startswith(b'"')
    return f"eq.{msgspec.json.decode(token, type=str) if is_text else token.decode()}"


def _applied(request: Request, answer: UpstreamResponse) -> list[Header]:
    """The preferences that upstream applied, without those that we added, and with those that we apply ourselves."""
    asked = request.preferences
    ours = {
        "return": asked.returning,
        "handling": asked.handling,
        "max-affected": str(asked.max_affected) if asked.is_strict and asked.max_affected is not None else None,
        "tx": asked.tx,
    }
    granted = []
    for name, value in answer.headers:
        if name.lower() == "preference-applied":
            for part in value.split(","):
                key, _, word = part.strip().partition("=")
                kept = ours.get(key, word)
                granted += [f"{key}={kept}"] if kept is not None else []
    return [("Preference-Applied", ", ".join(granted))] if granted else []
