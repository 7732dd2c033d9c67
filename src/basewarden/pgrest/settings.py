"""PostgREST's configuration: a file of `name = value`, overridden by `PGRST_…` variables."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from basewarden.pgrest.address import Address, parse_address
from basewarden.pgrest.config import Name, RestConfig
from basewarden.pgrest.jwt import JwtRules

_ANY_HOST = frozenset({"*", "*4", "!4", "*6", "!6"})
_LINE = re.compile(r"""\s*([A-Za-z0-9._-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^#]*?)\s*(?:#.*)?""")
_APP_SETTING, _APP_VARIABLE = "app.settings.", "PGRST_APP_SETTINGS_"
_TX_END: Mapping[str, tuple[Literal["commit", "rollback"], bool]] = {
    "commit": ("commit", False),
    "commit-allow-override": ("commit", True),
    "rollback": ("rollback", False),
    "rollback-allow-override": ("rollback", True),
}


class BadSettings(ValueError):
    """One sentence for the operator."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    dsn: str
    rest: RestConfig
    jwt: JwtRules
    anon_role: str | None
    host: str
    port: int
    pool_size: int
    pool_seconds: float
    prepares: bool
    listens: bool
    cors_origins: tuple[str, ...]
    shows_timing: bool
    trace_header: str | None


def load_settings(path: Path | None, environ: Mapping[str, str]) -> ServerSettings:
    given = _read_file(path.read_text()) if path is not None else {}
    for name, value in environ.items():
        if name.startswith(_APP_VARIABLE):
            given[_APP_SETTING + name.removeprefix(_APP_VARIABLE).lower()] = value
        elif name.startswith("PGRST_"):
            given[name.removeprefix("PGRST_").lower().replace("_", "-")] = value
    return _build(given)


def _read_file(text: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise BadSettings(f"line {number} of the configuration is not `name = value`")
        given[found[1]] = json.loads(found[2]) if found[2].startswith('"') else found[2]
    return given


def _build(given: Mapping[str, str]) -> ServerSettings:
    return ServerSettings(
        dsn=given.get("db-uri", ""),
        rest=_rest_config(given),
        jwt=JwtRules(
            keys=_secrets(given),
            audience=given.get("jwt-aud") or None,
            role_path=given.get("jwt-role-claim-key", ".role"),
        ),
        anon_role=given.get("db-anon-role") or None,
        host=given.get("server-host", "127.0.0.1").replace("!4", "0.0.0.0").replace("*", "0.0.0.0"),  # noqa: S104 - asked for
        port=_integer(given, "server-port", 3000),
        pool_size=_integer(given, "db-pool", 10),
        pool_seconds=_integer(given, "db-pool-acquisition-timeout", 10),
        prepares=_boolean(given, "db-prepared-statements", default=True),
        listens=_boolean(given, "db-channel-enabled", default=True),
        cors_origins=_names(given.get("server-cors-allowed-origins", "")),
        shows_timing=_boolean(given, "server-timing-enabled", default=False),
        trace_header=given.get("server-trace-header") or None,
    )


def _rest_config(given: Mapping[str, str]) -> RestConfig:
    defaults = RestConfig()
    schemas = _names(given.get("db-schemas", given.get("db-schema", "public")))
    tx_end, tx_override = _tx_end(given.get("db-tx-end", "commit"))
    max_rows = given.get("db-max-rows") or None
    return RestConfig(
        schemas=schemas,
        extra_search_path=_names(given.get("db-extra-search-path", "public")),
        max_rows=None if max_rows is None else _integer(given, "db-max-rows", 0),
        aggregates_enabled=_boolean(given, "db-aggregates-enabled", default=False),
        plan_enabled=_boolean(given, "db-plan-enabled", default=False),
        tx_end=tx_end,
        tx_override=tx_override,
        openapi_mode=_openapi_mode(given.get("openapi-mode", "follow-privileges")),
        openapi_security=_boolean(given, "openapi-security-active", default=False),
        served_at=_served_at(given),
        root_spec=_qualified(given.get("db-root-spec", ""), schemas[0]),
        pre_request=_qualified(given.get("db-pre-request", ""), ""),
        hoisted_settings=_names(given.get("db-hoisted-tx-settings", ",".join(defaults.hoisted_settings))),
        app_settings=tuple(pair for pair in given.items() if pair[0].startswith(_APP_SETTING)),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _qualified(text: str, schema: str) -> Name | None:
    if not text:
        return None
    first, dot, second = text.partition(".")
    return (first, second) if dot else (schema, first)


def _tx_end(text: str) -> tuple[Literal["commit", "rollback"], bool]:
    if text not in _TX_END:
        raise BadSettings(f"db-tx-end cannot be {text}")
    return _TX_END[text]


def _openapi_mode(text: str) -> Literal["follow-privileges", "ignore-privileges", "disabled"]:
    match text:
        case "follow-privileges" | "ignore-privileges" | "disabled":
            return text
    raise BadSettings(f"openapi-mode cannot be {text}")


def _served_at(given: Mapping[str, str]) -> Address:
    """Where clients find the API: at a proxy, where one is named."""
    proxy = given.get("openapi-server-proxy-uri")
    if not proxy:
        host = given.get("server-host", "127.0.0.1")
        shown = "0.0.0.0" if host in _ANY_HOST else f"[{host}]" if ":" in host else host  # noqa: S104 - PostgREST's word
        return Address("http", shown, _integer(given, "server-port", 3000))
    try:
        return parse_address(proxy)
    except ValueError:
        raise BadSettings("Malformed proxy uri, a correct example: https://example.com:8443/basePath") from None


def _integer(given: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(given.get(name, default))
    except ValueError:
        raise BadSettings(f"{name} must be a number") from None


def _boolean(given: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = given.get(name, str(default)).lower()
    if text not in ("true", "false"):
        raise BadSettings(f"{name} must be true or false")
    return text == "true"


def _secrets(given: Mapping[str, str]) -> tuple[bytes, ...]:
    """A secret as text or base64, or a JWK or a set of them of which the symmetric keys count."""
    text = given.get("jwt-secret") or ""
    if not text:
        return ()
    if _boolean(given, "jwt-secret-is-base64", default=False):
        return (_from_base64(text),)
    if not text.lstrip().startswith("{"):
        return (text.encode(),)
    try:
        value = json.loads(text)
    except ValueError:
        return (text.encode(),)
    return tuple(_from_base64(key["k"]) for key in value.get("keys", [value]) if key.get("kty") == "oct")


def _from_base64(text: str) -> bytes:
    padded = text.strip().replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(padded + "=" * (-len(padded) % 4))
    except binascii.Error:
        raise BadSettings("jwt-secret is not base64") from None
