"""Settings as text again: what holds now, and a file to begin with. No secret is in either."""

from collections.abc import Callable, Mapping, Sequence

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgrest.config import Name
from pgrest.jwt import spell_role_path
from pgrest.settings.model import ServerSettings
from pgrest.settings.table import SETTINGS

HIDDEN = "********"
_EXAMPLE_HEAD = """# Settings of `basewarden rest`, which are PostgREST's. Each may as well stand in the environment,
# as PGRST_DB_URI for db-uri. The values here are the defaults.
"""
_HIDDEN_IN_DSN = ("password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret")

Spell = Callable[[ServerSettings], str]


def dump_settings(settings: ServerSettings) -> str:
    lines = [f"{one.name} = {_SPELLINGS[one.name](settings)}" for one in SETTINGS if one.name in _SPELLINGS]
    lines += [f"{name} = {_quote(HIDDEN)}" for name, _ in settings.rest.app_settings]
    return "".join(f"{line}\n" for line in lines)


def write_example() -> str:
    """Every setting, as a comment with its default."""
    parts = [_EXAMPLE_HEAD]
    defaults = ServerSettings("postgresql://")
    for one in SETTINGS:
        if one.name in _SPELLINGS:
            value = _SPELLINGS[one.name](defaults)
            parts.append(f"## {one.meaning}; default {one.default}\n# {one.name} = {value}\n".replace("`", ""))
    return "\n".join(parts)


def hide_password(dsn: str) -> str:
    """The connection string as it is, where it holds no secret; else by keywords, without them."""
    parts = conninfo_to_dict(dsn)
    hidden = {name: HIDDEN for name in _HIDDEN_IN_DSN if parts.get(name)}
    return make_conninfo("", **{**parts, **hidden}) if hidden else dsn


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return '"' + escaped.replace("$", "$$") + '"'


def _text(spell: Callable[[ServerSettings], str | None]) -> Spell:
    return lambda settings: _quote(spell(settings) or "")


def _names(spell: Callable[[ServerSettings], Sequence[str]]) -> Spell:
    return lambda settings: _quote(",".join(spell(settings)))


def _qualified(spell: Callable[[ServerSettings], Name | None]) -> Spell:
    return lambda settings: _quote(".".join(part for part in spell(settings) or () if part))


def _boolean(spell: Callable[[ServerSettings], bool]) -> Spell:
    return lambda settings: "true" if spell(settings) else "false"


def _number(spell: Callable[[ServerSettings], float | None]) -> Spell:
    def write(settings: ServerSettings) -> str:
        number = spell(settings)
        return '""' if number is None else f"{number:g}" if isinstance(number, float) else str(number)

    return write


def _tx_end(settings: ServerSettings) -> str:
    return settings.rest.tx_end + ("-allow-override" if settings.rest.tx_override else "")


_SPELLINGS: Mapping[str, Spell] = {
    "admin-server-host": _text(lambda s: s.binding.admin_host),
    "admin-server-port": _number(lambda s: s.binding.admin_port),
    "db-aggregates-enabled": _boolean(lambda s: s.rest.aggregates_enabled),
    "db-anon-role": _text(lambda s: s.anon_role),
    "db-channel": _text(lambda s: s.channel),
    "db-channel-enabled": _boolean(lambda s: s.listens),
    "db-config": _boolean(lambda s: s.reads_database),
    "db-pre-config": _qualified(lambda s: s.pre_config),
    "db-extra-search-path": _names(lambda s: s.rest.extra_search_path),
    "db-hoisted-tx-settings": _names(lambda s: s.rest.hoisted_settings),
    "db-max-rows": _number(lambda s: s.rest.max_rows),
    "db-plan-enabled": _boolean(lambda s: s.rest.plan_enabled),
    "db-pool": _number(lambda s: s.pool.size),
    "db-pool-acquisition-timeout": _number(lambda s: s.pool.wait_seconds),
    "db-pool-max-lifetime": _number(lambda s: s.pool.lifetime_seconds),
    "db-pool-max-idletime": _number(lambda s: s.pool.idle_seconds),
    "db-pool-automatic-recovery": _boolean(lambda s: s.recovers),
    "db-pre-request": _qualified(lambda s: s.rest.pre_request),
    "db-prepared-statements": _boolean(lambda s: s.prepares),
    "db-root-spec": _qualified(lambda s: s.rest.root_spec),
    "db-schemas": _names(lambda s: s.rest.schemas),
    "db-tx-end": _text(_tx_end),
    "db-uri": _text(lambda s: hide_password(s.dsn)),
    "jwt-aud": _text(lambda s: s.jwt.audience),
    "jwt-role-claim-key": _text(lambda s: spell_role_path(s.jwt.role_path)),
    "jwt-secret": _text(lambda s: None if s.jwt.keys is None else HIDDEN),
    "jwt-secret-is-base64": _boolean(lambda s: s.jwt_secret_is_base64),
    "jwt-cache-max-entries": _number(lambda s: s.jwt_cache_entries),
    "log-level": _text(lambda s: s.log_level),
    "log-query": _boolean(lambda s: s.logs_queries),
    "openapi-mode": _text(lambda s: s.rest.openapi_mode),
    "openapi-security-active": _boolean(lambda s: s.rest.openapi_security),
    "openapi-server-proxy-uri": _text(lambda s: s.openapi_proxy_uri),
    "server-cors-allowed-origins": _names(lambda s: s.cors_origins),
    "server-host": _text(lambda s: s.binding.host),
    "server-port": _number(lambda s: s.binding.port),
    "server-trace-header": _text(lambda s: s.trace_header),
    "server-timing-enabled": _boolean(lambda s: s.shows_timing),
    "server-unix-socket": _text(lambda s: s.binding.socket),
    "server-unix-socket-mode": _text(lambda s: f"{s.binding.socket_mode:o}"),
}
