"""From a result to the HTTP answer: status, headers, body."""

import re
from urllib.parse import quote_plus

import msgspec

from pgrest import errors
from pgrest.errors import PgrestError
from pgrest.framing import WITHOUT_BODY, drop_framing, is_final_status, is_header
from pgrest.query.grammar import media
from pgrest.query.grammar.media import MediaType
from pgrest.query.plan import (
    CallPlan,
    DatabasePlan,
    DeletePlan,
    InfoPlan,
    InsertPlan,
    OpenApiPlan,
    ReadPlan,
    UpdatePlan,
)
from pgrest.query.request import Request
from pgrest.sql.statements import Result

Header = tuple[str, str]
_DIGITS = re.compile(r"[0-9]{1,9}")
_decode_headers = msgspec.json.Decoder(list[dict[str, str]]).decode


class Response(msgspec.Struct, frozen=True):
    status: int
    headers: tuple[Header, ...]
    body: bytes | memoryview = b""


def make_response(request: Request, plan: DatabasePlan, result: Result, canonical: str | None = None) -> Response:
    """`canonical` is the query string, where `request` is an earlier one of the same shape."""
    if result.is_explained:
        return Response(200, (_length(result.body), *_content_type(request, plan.media)), result.body)
    match plan:
        case ReadPlan():
            response = _answer_read(request, plan, result, request.query.canonical if canonical is None else canonical)
        case CallPlan():
            response = _answer_call(request, plan, result)
        case InsertPlan(is_put=True):
            response = _answer_put(request, plan, result)
        case InsertPlan():
            response = _answer_insert(request, plan, result)
        case UpdatePlan() | DeletePlan():
            response = _answer_change(request, plan, result)
    return _override(response, result)


def make_info_response(plan: InfoPlan) -> Response:
    return Response(200, (_length(b""), ("Access-Control-Allow-Origin", "*"), ("Allow", plan.allow)))


def make_openapi_response(request: Request, plan: OpenApiPlan, body: bytes) -> Response:
    shown = b"" if plan.is_head else body
    headers = (("Content-Type", media.OPENAPI.content_type()), *_profile(request))
    return Response(200, headers if plan.is_head else (*headers, _length(shown)), shown)


def make_error_response(error: PgrestError) -> Response:
    headers = (("Proxy-Status", f"PostgREST; error={error.code}"), *error.headers)
    if error.status in WITHOUT_BODY:
        return Response(error.status, headers)
    body = error.body()
    return Response(error.status, (("Content-Type", media.JSON.content_type()), _length(body), *headers), body)


# By method ----------------------------------------------------------------------------------------------


def _answer_read(request: Request, plan: ReadPlan, result: Result, canonical: str) -> Response:
    status, content_range = _range_status(request, result)
    body = _range_body(request, result) if status == 416 else b"" if plan.is_head else result.body
    headers = (
        content_range,
        ("Content-Location", _make_address(plan.table.name, canonical)),
        *(() if plan.is_head else (_length(body),)),
        *_content_type(request, plan.media),
        *_applied(plan),
    )
    return Response(status, headers, body)


def _answer_insert(request: Request, plan: InsertPlan, result: Result) -> Response:
    is_merge = request.preferences.resolution == "merge-duplicates"
    only_updated = is_merge and (result.inserted or 0) <= 0  # none at all where there was no row
    location = _location(plan, result)
    headers = (*location, _content_range(1, 0, _counted(plan, result)), *_applied(plan))
    status = 200 if only_updated else 201
    if plan.preferences.returning == "representation":
        shown = (*headers, *_content_type(request, plan.media), _length(result.body))
        return Response(status, shown, result.body)
    return Response(status, (*headers, _length(b"")))


def _answer_put(request: Request, plan: InsertPlan, result: Result) -> Response:
    if plan.preferences.returning == "representation":
        status = 201 if (result.inserted or 0) > 0 else 200
        headers = (_length(result.body), *_content_type(request, plan.media), *_applied(plan))
        return Response(status, headers, result.body)
    return Response(204, _applied(plan))


def _answer_change(request: Request, plan: UpdatePlan | DeletePlan, result: Result) -> Response:
    lower, upper = (0, result.page_total - 1) if isinstance(plan, UpdatePlan) else (1, 0)
    headers = (_content_range(lower, upper, _counted(plan, result)), *_applied(plan))
    if plan.preferences.returning == "representation":
        shown = (*headers, _length(result.body), *_content_type(request, plan.media))
        return Response(200, shown, result.body)
    return Response(204, headers)


def _answer_call(request: Request, plan: CallPlan, result: Result) -> Response:
    status, content_range = _range_status(request, result)
    headers = (content_range, *_applied(plan))
    if plan.function.returns_void:
        return Response(204, headers)
    body = _range_body(request, result) if status == 416 else result.body
    length = () if plan.is_head else (_length(body),)
    shown = (*headers, *length, *_content_type(request, plan.media))
    return Response(status, shown, b"" if plan.is_head else body)


# Headers ------------------------------------------------------------------------------------------------


def _make_address(name: str, canonical: str) -> str:
    return f"/{name}?{canonical}" if canonical else f"/{name}"


def _length(body: bytes | memoryview) -> Header:
    return ("Content-Length", str(len(body)))


def _content_type(request: Request, chosen: MediaType) -> tuple[Header, ...]:
    return (("Content-Type", chosen.content_type()), *_profile(request))


def _profile(request: Request) -> tuple[Header, ...]:
    return (("Content-Profile", request.schema),) if request.is_schema_negotiated else ()


def _applied(plan: DatabasePlan) -> tuple[Header, ...]:
    applied = plan.preferences.applied
    return (("Preference-Applied", applied),) if applied else ()


def _counted(plan: DatabasePlan, result: Result) -> int | None:
    return result.page_total if plan.preferences.counts_exactly else None


def _content_range(lower: int, upper: int, total: int | None) -> Header:
    rows = f"{lower}-{upper}" if total != 0 and lower <= upper else "*"
    return ("Content-Range", f"{rows}/{'*' if total is None else total}")


def _range_status(request: Request, result: Result) -> tuple[int, Header]:
    lower = request.top_range.lower
    upper = lower + result.page_total - 1
    total = result.table_total
    content_range = _content_range(lower, upper, total)
    if total is None:
        return 200, content_range
    if lower > total:
        return 416, content_range
    return (206 if result.page_total < total else 200), content_range


def _range_body(request: Request, result: Result) -> bytes:
    lower, total = request.top_range.lower, result.table_total or 0
    return errors.bad_range(f"An offset of {lower} was requested, but there are only {total} rows.").body()


def _location(plan: InsertPlan, result: Result) -> tuple[Header, ...]:
    if not result.location:
        return ()
    query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in result.location)
    return (("Location", f"/{plan.table.name}?{query}"),)


def _override(response: Response, result: Result) -> Response:
    """A function may set the status, and headers, which come before ours of the same name; never the framing."""
    if result.status is None and result.headers is None:
        return response
    status = response.status if result.status is None else _read_status(result.status)
    own = () if result.headers is None else _read_headers(result.headers)
    names = {name.lower() for name, _ in own}
    if status in WITHOUT_BODY:
        names.add("content-length")
    kept = tuple(header for header in response.headers if header[0].lower() not in names)
    return Response(status, (*kept, *own), b"" if status in WITHOUT_BODY else response.body)


def _read_status(text: str) -> int:
    found = _DIGITS.match(text)
    if found is None or not is_final_status(int(found[0])):
        raise errors.bad_response_status()
    return int(found[0])


def _read_headers(value: bytes) -> tuple[Header, ...]:
    try:
        objects = _decode_headers(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise errors.bad_response_headers() from None
    if any(len(one) != 1 for one in objects):
        raise errors.bad_response_headers()
    pairs = [pair for one in objects for pair in one.items()]
    if not all(is_header(*pair) for pair in pairs):
        raise errors.bad_response_headers()
    return drop_framing(pairs)
