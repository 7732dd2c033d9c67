"""Who a transaction runs as and what its SQL can ask about the request: one SELECT of set_config."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from basewarden.pgrest.config import RestConfig
from basewarden.pgrest.request import Request
from basewarden.pgrest.schema import Schema
from basewarden.pgrest.sql import Builder, Statement, quote_list

_ISOLATION = "default_transaction_isolation"


@dataclass(frozen=True, slots=True)
class Session:
    """`role` None means the role that the login starts as. Settings are those that role or function may set."""

    role: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    is_read_only: bool = False
    is_anonymous: bool = False


def session_settings(
    session: Session,
    request: Request,
    config: RestConfig,
    *,
    schema: Schema | None = None,
    read_only: bool = False,
    function_settings: Iterable[tuple[str, str]] = (),
) -> Statement:
    """Must be a statement of its own: permissions are checked before a statement runs.

    `transaction_read_only` cannot be switched off again, because a query has run then.
    """
    builder = Builder()
    settings: list[tuple[str, str | None]] = []
    if read_only or session.is_read_only:
        settings.append(("transaction_read_only", "on"))
    settings.append(("search_path", quote_list([request.schema, *config.extra_search_path])))
    settings.extend(_role_settings(session, schema))
    # None is NULL, the login's own: a function of an earlier request may have done SET ROLE on this connection
    settings.append(("role", session.role))
    settings.extend(_request_settings(session, request))
    if request.preferences.timezone is not None:
        settings.append(("timezone", request.preferences.timezone))
    settings.extend(one for one in function_settings if one[0] in config.hoisted_settings and one[0] != _ISOLATION)
    settings.extend(config.app_settings)
    calls = (f"set_config({builder.param(name)}, {builder.param(value)}, true)" for name, value in settings)
    return builder.statement(f"SELECT {', '.join(calls)}")


def _role_settings(session: Session, schema: Schema | None) -> list[tuple[str, str]]:
    """A role's own settings apply at login, and nobody logs in as the role that is impersonated."""
    role = schema.roles.get(session.role or "") if schema is not None else None
    return [] if role is None else [one for one in role.settings if one[0] != _ISOLATION]


def isolation_level(session: Session, schema: Schema, function_settings: Iterable[tuple[str, str]] = ()) -> str | None:
    role = schema.roles.get(session.role or "")
    chosen = dict([*(role.settings if role is not None else ()), *function_settings])
    return chosen.get(_ISOLATION)


def _request_settings(session: Session, request: Request) -> Iterable[tuple[str, str]]:
    return (
        ("request.jwt.claims", _to_json(session.claims)),
        ("request.method", request.method),
        ("request.path", request.path),
        ("request.headers", _to_json(dict(request.headers))),
        ("request.cookies", _to_json(dict(request.cookies))),
    )


def _to_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
