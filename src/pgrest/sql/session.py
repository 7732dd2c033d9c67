"""Who a transaction runs as and what its SQL can ask about the request: one SELECT of set_config."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import msgspec

from pgrest import errors
from pgrest.config import RestConfig
from pgrest.query.request import Request
from pgrest.schema.model import Schema
from pgrest.sql.text import Statement, operator_sql, quote_list, quote_literal, to_parameter

_ISOLATION = "default_transaction_isolation"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Session:
    """`role` None means the role that the login starts as. Settings are those that role or function may set."""

    role: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    is_read_only: bool = False
    is_anonymous: bool = False
    seconds: float | None = None
    """how long a statement may run; what the role, the function or the login itself sets counts where it is less"""

    @cached_property
    def claims_json(self) -> bytes:
        try:
            return _encode(self.claims)
        except UnicodeEncodeError:
            raise errors.not_utf8("the claims") from None


def session_settings(
    session: Session,
    request: Request,
    config: RestConfig,
    *,
    schema: Schema | None = None,
    read_only: bool = False,
    function_settings: Iterable[tuple[str, str]] = (),
    headers: Sequence[tuple[bytes, bytes]] | None = None,
    instead: Mapping[str, str] | None = None,
) -> Statement:
    """Must be a statement of its own: permissions are checked before a statement runs.

    `transaction_read_only` cannot be switched off again, because a query has run then. `headers` are the ones to tell
    where `request` is an earlier one of the same shape; `instead` replaces settings by name, or adds them.
    """
    settings: list[tuple[str, str | bytes | None]] = []
    if read_only or session.is_read_only:
        settings.append(("transaction_read_only", b"on"))
    settings.append(("search_path", _search_path(request.schema, config.extra_search_path)))
    settings.extend(_role_settings(session, schema))
    # None is NULL, the login's own: a function of an earlier request may have done SET ROLE on this connection
    settings.append(("role", session.role))
    settings.extend(
        _request_settings(session, request.method, request.path, request.raw_headers if headers is None else headers)
    )
    if request.preferences.timezone is not None:
        settings.append(("timezone", request.preferences.timezone))
    settings.extend(one for one in function_settings if one[0] in config.hoisted_settings and one[0] != _ISOLATION)
    settings.extend(config.app_settings)
    if instead is not None:
        settings = list({**dict(settings), **instead}.items())
    params = [to_parameter(value) for _, value in settings]
    if session.seconds is not None:
        params.append(b"%dms" % round(session.seconds * 1000))
    return Statement(
        _set_configs(tuple(name for name, _ in settings), limits_time=session.seconds is not None), tuple(params)
    )


def set_settings(settings: Mapping[str, str | None], *, is_guard: bool = False) -> Statement:
    """For the rest of the transaction; None brings back the session's own value."""
    params = tuple(to_parameter(value) for value in settings.values())
    return Statement(_set_configs(tuple(settings), limits_time=False), params, is_guard)


@lru_cache(maxsize=256)
def _set_configs(names: tuple[str, ...], *, limits_time: bool) -> str:
    calls = [f"pg_catalog.set_config({quote_literal(name)}, ${number}, true)" for number, name in enumerate(names, 1)]
    if limits_time:
        calls.append(_shorten_timeout(f"${len(names) + 1}::pg_catalog.text"))
    return f"SELECT {', '.join(calls)}"


def _shorten_timeout(most: str) -> str:
    """Evaluated after the others, so that it sees what they have set."""
    now = "pg_catalog.current_setting('statement_timeout')"
    as_time = f"{now}::pg_catalog.interval {operator_sql(None, '<')} {most}::pg_catalog.interval"
    is_less = f"{now} {operator_sql(None, '<>')} '0' AND {as_time}"
    return f"pg_catalog.set_config('statement_timeout', CASE WHEN {is_less} THEN {now} ELSE {most} END, true)"


@lru_cache(maxsize=256)
def _search_path(schema: str, extra: tuple[str, ...]) -> str:
    return quote_list([schema, *extra])


def _role_settings(session: Session, schema: Schema | None) -> list[tuple[str, str]]:
    """A role's own settings apply at login, and no client logs in as the role that is impersonated."""
    role = schema.roles.get(session.role or "") if schema is not None else None
    return [] if role is None else [one for one in role.settings if one[0] != _ISOLATION]


def isolation_level(session: Session, schema: Schema, function_settings: Iterable[tuple[str, str]] = ()) -> str | None:
    role = schema.roles.get(session.role or "")
    chosen = dict([*(role.settings if role is not None else ()), *function_settings])
    return chosen.get(_ISOLATION)


def _request_settings(
    session: Session, method: str, path: str, headers: Sequence[tuple[bytes, bytes]]
) -> Iterable[tuple[str, str | bytes]]:
    """The first cookie header counts; of other headers of one name the last."""
    shown: dict[str, str] = {}
    cookies: dict[str, str] | None = None
    for name, value in headers:
        text = value.decode("utf-8", "replace")
        if name != b"cookie":
            shown[name.decode("latin-1")] = text
        elif cookies is None:
            cookies = dict(_split_cookies(text))
    return (
        ("request.jwt.claims", session.claims_json),
        ("request.method", method),
        ("request.path", path),
        ("request.headers", _encode(shown)),
        ("request.cookies", _encode(cookies) if cookies else b"{}"),
    )


def _split_cookies(header: str) -> Iterable[tuple[str, str]]:
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name:
            yield name, value
