"""From what was given to what holds: each value read, checked and, where it names a file, fetched from there."""

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pgrest.address import ApiAddress, parse_address
from pgrest.config import RestConfig
from pgrest.jwt import BadKeysError, JwtKey, JwtRules, parse_role_path, read_keys
from pgrest.jwt.rolepath import ROLE, RolePath
from pgrest.settings.errors import BadSettings
from pgrest.settings.file import Value
from pgrest.settings.model import Binding, LogLevel, PoolSettings, ServerSettings
from pgrest.settings.table import APP_SETTINGS, HOISTED
from pgrest.settings.values import Given, split_names

_MODES: Mapping[str, Literal["follow-privileges", "ignore-privileges", "disabled"]] = {
    "follow-privileges": "follow-privileges",
    "ignore-privileges": "ignore-privileges",
    "disabled": "disabled",
}
_TX_ENDS: Mapping[str, tuple[Literal["commit", "rollback"], bool]] = {
    "commit": ("commit", False),
    "commit-allow-override": ("commit", True),
    "rollback": ("rollback", False),
    "rollback-allow-override": ("rollback", True),
}
_LOG_LEVELS: Mapping[str, LogLevel] = {
    "crit": "crit",
    "error": "error",
    "warn": "warn",
    "info": "info",
    "debug": "debug",
}
_ANY_HOST = frozenset({"*", "*4", "!4", "*6", "!6"})
_PORT = 65535
_SOCKET_MODE = re.compile(r"0?[67][0-7]{2}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")


def build_settings(values: Mapping[str, Value]) -> ServerSettings:
    given = Given(values)
    binding, proxy_uri = _build_binding(given), _read_proxy_uri(given)
    return ServerSettings(
        dsn=_read_dsn(given),
        rest=_build_rest(given, values, locate(binding, proxy_uri)),
        jwt=JwtRules(_read_keys(given), _read_audience(given), _read_role_path(given)),
        jwt_secret_is_base64=given.boolean("jwt-secret-is-base64", default=False),
        jwt_cache_entries=given.number("jwt-cache-max-entries", 1000, least=-1),
        anon_role=given.text("db-anon-role"),
        binding=binding,
        openapi_proxy_uri=proxy_uri,
        pool=_build_pool(given),
        prepares=given.boolean("db-prepared-statements", default=True),
        recovers=given.boolean("db-pool-automatic-recovery", default=True),
        channel=given.text("db-channel") or "pgrst",
        listens=given.boolean("db-channel-enabled", default=True),
        reads_database=given.boolean("db-config", default=True),
        pre_config=given.qualified("db-pre-config"),
        cors_origins=split_names(given.text("server-cors-allowed-origins") or ""),
        shows_timing=given.boolean("server-timing-enabled", default=False),
        trace_header=_read_header_name(given, "server-trace-header"),
        log_level=given.choice("log-level", _LOG_LEVELS, "error"),
        logs_queries=given.boolean("log-query", default=False),
    )


def _build_rest(given: Given, values: Mapping[str, Value], served_at: ApiAddress) -> RestConfig:
    tx_end, tx_override = given.choice("db-tx-end", _TX_ENDS, ("commit", False))
    search_path = given.emptyable("db-extra-search-path")
    return RestConfig(
        schemas=given.names("db-schemas", ("public",)),
        extra_search_path=("public",) if search_path is None else split_names(search_path),
        max_rows=given.integer("db-max-rows", None),
        aggregates_enabled=given.boolean("db-aggregates-enabled", default=False),
        plan_enabled=given.boolean("db-plan-enabled", default=False),
        tx_end=tx_end,
        tx_override=tx_override,
        openapi_mode=given.choice("openapi-mode", _MODES, "follow-privileges"),
        openapi_security=given.boolean("openapi-security-active", default=False),
        served_at=served_at,
        root_spec=given.qualified("db-root-spec"),
        pre_request=given.qualified("db-pre-request"),
        hoisted_settings=given.names("db-hoisted-tx-settings", HOISTED),
        app_settings=tuple((name, given.emptyable(name) or "") for name in values if name.startswith(APP_SETTINGS)),
    )


def _build_binding(given: Given) -> Binding:
    host = given.text("server-host") or "!4"
    port = given.number("server-port", 3000, most=_PORT)
    admin_port = given.integer("admin-server-port", None, most=_PORT)
    if admin_port is not None and admin_port == port:
        raise BadSettings("admin-server-port cannot be the same as server-port")
    return Binding(
        host=host,
        port=port,
        socket=given.text("server-unix-socket"),
        socket_mode=_read_socket_mode(given),
        admin_host=given.text("admin-server-host") or host,
        admin_port=admin_port,
    )


def _build_pool(given: Given) -> PoolSettings:
    return PoolSettings(
        size=given.number("db-pool", 10, least=1),
        wait_seconds=given.number("db-pool-acquisition-timeout", 10),
        lifetime_seconds=given.number("db-pool-max-lifetime", 1800),
        idle_seconds=given.number("db-pool-max-idletime", 30),
    )


# Single settings ----------------------------------------------------------------------------------------


def _read_dsn(given: Given) -> str:
    text = given.text("db-uri") or ""
    if text.startswith("@"):
        text = _read_named_file("db-uri", text[1:]).decode("utf-8", "replace").strip()
    try:
        conninfo_to_dict(text)
    except psycopg.Error:  # its text may quote the password
        raise BadSettings("db-uri is no connection string of PostgreSQL") from None
    return text


def _read_keys(given: Given) -> tuple[JwtKey, ...] | None:
    text = given.text("jwt-secret")
    if text is None:
        return None
    secret = text.encode()
    if text.startswith("@"):
        secret = _read_named_file("jwt-secret", text[1:]).removesuffix(b"\n")
    if given.boolean("jwt-secret-is-base64", default=False):
        secret = _decode_base64(secret)
    try:
        return read_keys(secret)
    except BadKeysError as error:
        raise BadSettings(str(error)) from None


def _read_named_file(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "that is no path"
        raise BadSettings(f"{name} names the file {path!r}, which cannot be read: {reason}") from None


def _decode_base64(text: bytes) -> bytes:
    """Either alphabet, padded or not; a dot may stand for the padding."""
    plain = text.strip().translate(bytes.maketrans(b"-_.", b"+/="))
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise BadSettings("jwt-secret is not base64, though jwt-secret-is-base64 says so") from None


def _read_audience(given: Given) -> str | None:
    text = given.text("jwt-aud")
    if text is not None and ":" in text and _URI.fullmatch(text) is None:
        raise BadSettings("jwt-aud holds a colon and so must be a URI")
    return text


def _read_role_path(given: Given) -> RolePath:
    text = given.text("jwt-role-claim-key")
    if text is None:
        return ROLE
    try:
        return parse_role_path(text)
    except ValueError:
        raise BadSettings(f"jwt-role-claim-key takes a path such as .app_metadata.role, not {text!r}") from None


def _read_header_name(given: Given, name: str) -> str | None:
    text = given.text(name)
    if text is not None and re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", text) is None:
        raise BadSettings(f"{name} takes the name of a header, not {text!r}")
    return text


def _read_socket_mode(given: Given) -> int:
    text = given.text("server-unix-socket-mode") or "660"
    if _SOCKET_MODE.fullmatch(text) is None:
        raise BadSettings(f"server-unix-socket-mode takes an octal number from 600 to 777, not {text!r}")
    return int(text, 8)


def locate(binding: Binding, proxy_uri: str | None) -> ApiAddress:
    """Where clients find the API: at the proxy, where one is named."""
    if proxy_uri is not None:
        return parse_address(proxy_uri)
    host = "0.0.0.0" if binding.host in _ANY_HOST else binding.host  # noqa: S104 - PostgREST's word for any of them
    return ApiAddress("http", f"[{host}]" if ":" in host else host, binding.port)


def _read_proxy_uri(given: Given) -> str | None:
    text = given.text("openapi-server-proxy-uri")
    try:
        return text if text is None or parse_address(text) else None
    except ValueError:
        raise BadSettings("openapi-server-proxy-uri takes an address such as https://example.com:8443/base") from None
