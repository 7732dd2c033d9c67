"""What PostgREST answers when it refuses: codes, texts and statuses, and SQLSTATE to HTTP status."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pgrest.framing import drop_framing, is_final_status, is_header
from pgrest.query.suggestions import find_misspelt

Headers = tuple[tuple[str, str], ...]


class PgrestError(Exception):
    """A refusal with everything its answer needs; the only exception this package lets a caller see."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Any = None,
        hint: Any = None,
        *,
        headers: Headers = (),
        about: tuple[str, str] | None = None,
    ) -> None:
        """`about` is the schema and the name of what was not found."""
        super().__init__(message)
        self.about = about
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.hint = hint
        self.headers = headers

    def body(self) -> bytes:
        parts = {"code": self.code, "details": self.details, "hint": self.hint, "message": self.message}
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class DatabaseErrorFields:
    sqlstate: str
    message: str
    detail: str | None = None
    hint: str | None = None
    schema: str | None = None
    table: str | None = None
    column: str | None = None
    constraint: str | None = None
    place: str | None = None
    """The function of the server's source that reported it."""


class DatabaseError(Exception):
    """The first failure of a run, as the server reported it; `at` is the number of the statement that failed."""

    def __init__(self, fields: DatabaseErrorFields, at: int = 0) -> None:
        super().__init__(f"{fields.sqlstate}: {fields.message}")
        self.at = at
        self.fields = fields
        self.sqlstate = fields.sqlstate
        self.message = fields.message
        self.detail = fields.detail
        self.hint = fields.hint


class PlanStale(DatabaseError):
    """A prepared statement no longer fits what it names, or is gone. Nothing is wrong with it: it may be run again."""


# Requests (PGRST1xx) ------------------------------------------------------------------------------------


def parse_failed(message: str, details: str) -> PgrestError:
    return PgrestError(400, "PGRST100", message, details)


def rpc_method_not_allowed(method: str) -> PgrestError:
    return PgrestError(405, "PGRST101", f"Cannot use the {method} method on RPC")


def bad_body(message: str) -> PgrestError:
    return PgrestError(400, "PGRST102", message)


def too_deep() -> PgrestError:
    return PgrestError(400, "PGRST102", "The body's JSON is nested too deeply.")


def bad_range(details: str) -> PgrestError:
    return PgrestError(416, "PGRST103", "Requested range not satisfiable", details)


def bad_put_filters() -> PgrestError:
    text = "Filters must include all and only primary key columns with 'eq' operators"
    return PgrestError(405, "PGRST105", text)


def schema_not_exposed(schema: str, exposed: Iterable[str]) -> PgrestError:
    hint = "Only the following schemas are exposed: " + ", ".join(exposed)
    return PgrestError(406, "PGRST106", f"Invalid schema: {schema}", None, hint)


def media_not_available(types: Iterable[str]) -> PgrestError:
    return PgrestError(406, "PGRST107", "None of these media types are available: " + ", ".join(types))


def not_embedded(name: str) -> PgrestError:
    return PgrestError(
        400,
        "PGRST108",
        f"'{name}' is not an embedded resource in this request",
        None,
        f"Verify that '{name}' is included in the 'select' query parameter.",
    )


def bad_response_headers() -> PgrestError:
    text = "response.headers guc must be a JSON array composed of objects with a single key and a string value"
    return PgrestError(500, "PGRST111", text)


def bad_response_status() -> PgrestError:
    return PgrestError(500, "PGRST112", "response.status guc must be a valid status code")


def put_with_limit() -> PgrestError:
    return PgrestError(400, "PGRST114", "limit/offset querystring parameters are not allowed for PUT")


def put_key_mismatch() -> PgrestError:
    return PgrestError(400, "PGRST115", "Payload values do not match URL in primary key column(s)")


def not_singular(rows: int) -> PgrestError:
    text = "Cannot coerce the result to a single JSON object"
    return PgrestError(406, "PGRST116", text, f"The result contains {rows} rows")


def method_not_supported(method: str) -> PgrestError:
    return PgrestError(405, "PGRST117", f"Unsupported HTTP method: {method}")


def order_not_to_one(origin: str, target: str) -> PgrestError:
    details = f"'{origin}' and '{target}' do not form a many-to-one or one-to-one relationship"
    return PgrestError(400, "PGRST118", f"A related order on '{target}' is not possible", details)


def bad_raise(details: str, hint: str) -> PgrestError:
    text = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error"
    return PgrestError(500, "PGRST121", text, details, hint)


def bad_preferences(invalid: Iterable[str]) -> PgrestError:
    text = "Invalid preferences given with handling=strict"
    return PgrestError(400, "PGRST122", text, "Invalid preferences: " + ", ".join(invalid))


def aggregates_off() -> PgrestError:
    return PgrestError(400, "PGRST123", "Use of aggregate functions is not allowed")


def max_affected_exceeded(rows: int) -> PgrestError:
    text = "Query result exceeds max-affected preference constraint"
    return PgrestError(400, "PGRST124", text, f"The query affects {rows} rows")


def bad_path() -> PgrestError:
    return PgrestError(404, "PGRST125", "Invalid path specified in request URL")


def openapi_off() -> PgrestError:
    return PgrestError(404, "PGRST126", "Root endpoint metadata is disabled")


def not_implemented(details: str) -> PgrestError:
    return PgrestError(400, "PGRST127", "Feature not implemented", details)


def max_affected_on_single() -> PgrestError:
    text = "Function must return SETOF or TABLE when max-affected preference is used with handling=strict"
    return PgrestError(400, "PGRST128", text)


def body_too_large(limit: int) -> PgrestError:
    """The rest of it is not read, so the connection is of no more use."""
    details = f"At most {limit} bytes are accepted"
    return PgrestError(413, "PGRST102", "The body is too large", details, headers=(("Connection", "close"),))


def too_much_in_body(what: str, most: int) -> PgrestError:
    return PgrestError(413, "PGRST102", f"The body has too many {what}", f"At most {most} are accepted")


def too_many_parameters(most: int) -> PgrestError:
    return PgrestError(400, "PGRST100", "The query string has too many parameters", f"At most {most} are accepted")


def bad_http() -> PgrestError:
    return PgrestError(400, "PGRST100", "This is not an HTTP request")


def head_too_large(limit: int) -> PgrestError:
    return PgrestError(431, "PGRST100", "The headers are too large", f"At most {limit} bytes are accepted")


def zero_byte() -> PgrestError:
    """PostgreSQL's own refusal: no text value of it can hold a zero byte."""
    return PgrestError(400, "22021", 'invalid byte sequence for encoding "UTF8": 0x00')


def not_utf8(what: str) -> PgrestError:
    return PgrestError(400, "22021", f'invalid byte sequence for encoding "UTF8" in {what}')


# Schema (PGRST2xx) --------------------------------------------------------------------------------------


def table_not_found(schema: str, name: str, similar: str | None) -> PgrestError:
    hint = f"Perhaps you meant the table '{schema}.{similar}'" if similar else None
    text = f"Could not find the table '{schema}.{name}' in the schema cache"
    return PgrestError(404, "PGRST205", text, None, hint)


def column_not_found(table: str, column: str) -> PgrestError:
    text = f"Could not find the '{column}' column of '{table}' in the schema cache"
    return PgrestError(400, "PGRST204", text)


def column_denied(name: str) -> PgrestError:
    """Only where a host has rules about columns; it names what the request named."""
    return PgrestError(403, "column_denied", "This token may not use that column in this way.", {"denied": [name]})


def no_such_column(relation: str, column: str, known: Iterable[str] = ()) -> PgrestError:
    """As PostgreSQL says it."""
    meant = [f'"{relation}.{name}"' for name in find_misspelt(column, known)]
    hint = f"Perhaps you meant to reference the column {' or the column '.join(meant)}." if meant else None
    return PgrestError(400, "42703", f"column {relation}.{column} does not exist", None, hint)


def no_relationship(parent: str, child: str, hint_given: str | None, schema: str, hint: str | None) -> PgrestError:
    using = f"' using the hint '{hint_given}" if hint_given is not None else ""
    return PgrestError(
        400,
        "PGRST200",
        f"Could not find a relationship between '{parent}' and '{child}' in the schema cache",
        f"Searched for a foreign key relationship between '{parent}' and '{child}{using}' "
        f"in the schema '{schema}', but no matches were found.",
        hint,
        about=(schema, child),
    )


def ambiguous_relationship(
    parent: str, child: str, choices: Sequence[dict[str, str]], hints: Iterable[str]
) -> PgrestError:
    return PgrestError(
        300,
        "PGRST201",
        f"Could not embed because more than one relationship was found for '{parent}' and '{child}'",
        list(choices),
        f"Try changing '{child}' to one of the following: {', '.join(hints)}. "
        "Find the desired relationship in the 'details' key.",
    )


def function_not_found(wanted: str, searched: str, hint: str | None) -> PgrestError:
    return PgrestError(
        404,
        "PGRST202",
        f"Could not find the function {wanted} in the schema cache",
        f"Searched for the function {searched}, but no matches were found in the schema cache.",
        hint,
    )


def ambiguous_function(signatures: Iterable[str]) -> PgrestError:
    return PgrestError(
        300,
        "PGRST203",
        "Could not choose the best candidate function between: " + ", ".join(signatures),
        None,
        "Try renaming the parameters or the function itself in the database so function overloading can be resolved",
    )


# Connection (PGRST0xx) ----------------------------------------------------------------------------------


def cannot_connect(details: str) -> PgrestError:
    return PgrestError(503, "PGRST000", "Database connection error.", details)


def connection_lost(details: str) -> PgrestError:
    return PgrestError(503, "PGRST001", "Database client error. Retrying the connection.", details)


def no_schema_cache(details: str | None = None) -> PgrestError:
    text = "Could not query the database for the schema cache. Retrying."
    return PgrestError(503, "PGRST002", text, details)


def pool_timeout() -> PgrestError:
    return PgrestError(504, "PGRST003", "Timed out acquiring connection from connection pool.")


# Limits of ours, on what a database may make us wait for and hold -----------------------------------------


def answer_too_large(most: int) -> PgrestError:
    text = f"The response is larger than {most // 1_000_000} MB, so it was not sent and nothing was changed."
    hint = "Read fewer rows at once with limit and offset, or fewer columns with select."
    return PgrestError(413, "answer_too_large", text, {"limitBytes": most}, hint)


def memory_busy() -> PgrestError:
    text = "Too many large responses are being read at the moment. This request was stopped, and nothing was changed."
    hint = "Try again in a moment, or read fewer rows at once."
    return PgrestError(503, "memory_busy", text, None, hint, headers=(("Retry-After", "1"),))


def query_timeout(seconds: float) -> PgrestError:
    text = f"The database did not finish within {seconds:g} seconds, so the request was stopped."
    hint = "Narrow the filter, read fewer rows, or add an index."
    return PgrestError(504, "query_timeout", text, {"seconds": seconds}, hint)


def flooded() -> PgrestError:
    return connection_lost("The database sent an unexpected response")


def share_used_up(most: int) -> PgrestError:
    text = f"This caller has {most} requests running on this connection, which is the most it may have."
    hint = "Wait for some of them to finish."
    return PgrestError(429, "too_many_running", text, {"limit": most}, hint, headers=(("Retry-After", "1"),))


def internal() -> PgrestError:
    return PgrestError(500, "PGRSTX00", "Internal server error")


# The server's own errors --------------------------------------------------------------------------------

_STATUS_BY_STATE = {
    "23503": 409,
    "23505": 409,
    "25006": 405,
    "21000": 500,
    "53400": 500,
    "57P01": 503,
    "P0001": 400,
    "42883": 404,
    "42P01": 404,
    "42P17": 500,
}
_STATUS_BY_CLASS = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "25": 500,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 500,
    "58": 500,
    "F0": 500,
    "HV": 500,
    "P0": 500,
    "XX": 500,
}


def database_status(error: DatabaseError, *, anonymous: bool) -> int:
    state, message = error.sqlstate, error.message
    if state == "42501":
        return 401 if anonymous else 403
    if state == "21000" and message.endswith("requires a WHERE clause"):
        return 400
    if state == "22023" and message.startswith("role") and message.endswith("does not exist"):
        return 401
    if state == "42883" and message.removeprefix("function pg_catalog.").removeprefix("function ").startswith(
        "xmlagg("
    ):
        return 406
    if state.startswith("PT"):
        return _status_in_state(state)
    return _STATUS_BY_STATE.get(state) or _STATUS_BY_CLASS.get(state[:2], 400)


def _status_in_state(state: str) -> int:
    digits = state[2:]
    return int(digits) if digits.isascii() and digits.isdigit() and is_final_status(int(digits)) else 500


_NO_SUCH_FUNCTION = "42883"
_OWN_SCHEMA = re.compile(r"\bpg_catalog\.")
"""Our SQL names PostgreSQL's own functions and operators by it, which a client never did."""


def from_database(error: DatabaseError, *, anonymous: bool = False) -> PgrestError:
    """The answer to a server's error; `anonymous` turns a lack of rights into 401 instead of 403."""
    if error.sqlstate == "PGRST":
        return _from_raise(error)
    status = database_status(error, anonymous=anonymous)
    message = _OWN_SCHEMA.sub("", error.message) if error.sqlstate == _NO_SUCH_FUNCTION else error.message
    headers: Headers = (("WWW-Authenticate", "Bearer"),) if status == 401 else ()
    return PgrestError(status, error.sqlstate, message, error.detail, error.hint, headers=headers)


_RAISE_MESSAGE_HINT = (
    "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'."
)
_RAISE_DETAIL_HINT = (
    "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'."
)


def _from_raise(error: DatabaseError) -> PgrestError:
    """RAISE SQLSTATE 'PGRST': message and detail are JSON that say the whole answer."""
    message = _json_object(error.message, ("code", "message"))
    if message is None:
        details = f"Invalid JSON value for MESSAGE: '{error.message}'"
        return bad_raise(details, _RAISE_MESSAGE_HINT)
    if error.detail is None:
        return bad_raise("DETAIL is missing in the RAISE statement", _RAISE_DETAIL_HINT)
    detail = _json_object(error.detail, ("status", "headers"))
    if detail is None or not _is_raise_detail(detail):
        details = f"Invalid JSON value for DETAIL: '{error.detail}'"
        return bad_raise(details, _RAISE_DETAIL_HINT)
    headers = drop_framing((name, str(value)) for name, value in detail["headers"].items())
    text = str(message["message"])
    return PgrestError(
        detail["status"], str(message["code"]), text, message.get("details"), message.get("hint"), headers=headers
    )


def _json_object(text: str, required: tuple[str, ...]) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and all(key in value for key in required) else None


def _is_raise_detail(detail: dict[str, Any]) -> bool:
    status, headers = detail["status"], detail["headers"]
    if type(status) is not int or not is_final_status(status) or not isinstance(headers, dict):
        return False
    return all(is_header(name, str(value)) for name, value in headers.items())
