"""Every setting of PostgREST 14, in the order of its dump: what `--example`, `docs/rest.md` and the reader go by."""

from collections.abc import Mapping
from dataclasses import dataclass

APP_SETTINGS = "app.settings."
HOISTED = ("statement_timeout", "plan_filter.statement_cost_limit", "default_transaction_isolation")


@dataclass(frozen=True, slots=True)
class Setting:
    """`in_database`: may be set there as `pgrst.<name>`. `reloads`: a reload changes it in a server that runs."""

    name: str
    default: str
    meaning: str
    in_database: bool = False
    reloads: bool = True
    aliases: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        return "PGRST_" + self.name.upper().replace("-", "_").replace(".", "_")

    @property
    def database_name(self) -> str:
        return f"pgrst.{self.name.replace('-', '_')}"


SETTINGS: tuple[Setting, ...] = (
    Setting("db-aggregates-enabled", "`false`", "allows aggregate functions in `select`", in_database=True),
    Setting(
        "db-anon-role", "none: no access without a token", "the role of requests without a token", in_database=True
    ),
    Setting("db-channel", "`pgrst`", "the `NOTIFY` channel for reloads"),
    Setting("db-channel-enabled", "`true`", "whether to listen on it; `false` behind a transaction pooler"),
    Setting(
        "db-extra-search-path",
        "`public`",
        "schemas on the search path that are not exposed; may be empty",
        in_database=True,
    ),
    Setting(
        "db-hoisted-tx-settings",
        f"`{', '.join(HOISTED)}`",
        "function settings that apply to the whole transaction",
        in_database=True,
    ),
    Setting(
        "db-max-rows",
        "none: no limit",
        "the maximum number of rows in a response",
        in_database=True,
        aliases=("max-rows",),
    ),
    Setting("db-plan-enabled", "`false`", "allows `Accept: application/vnd.pgrst.plan`", in_database=True),
    Setting("db-pool", "`10`", "the maximum number of connections for requests, over all workers", reloads=False),
    Setting("db-pool-acquisition-timeout", "`10`", "seconds that a request waits for a connection", reloads=False),
    Setting("db-pool-max-lifetime", "`1800`", "seconds after which a connection is replaced", reloads=False),
    Setting(
        "db-pool-max-idletime",
        "`30`",
        "seconds after which an unused connection is closed",
        reloads=False,
        aliases=("db-pool-timeout",),
    ),
    Setting("db-pool-automatic-recovery", "`true`", "`false` ends the server when the database cannot be reached"),
    Setting(
        "db-pre-request", "none", "a function called before each request", in_database=True, aliases=("pre-request",)
    ),
    Setting(
        "db-prepared-statements",
        "`true`",
        "`false` behind a transaction pooler without prepared statements",
        in_database=True,
    ),
    Setting("db-root-spec", "none", "a function that answers `GET /`", in_database=True, aliases=("root-spec",)),
    Setting(
        "db-schemas",
        "`public`",
        "the exposed schemas; the first is the default",
        in_database=True,
        aliases=("db-schema",),
    ),
    Setting("db-config", "`true`", "whether settings are read from the database"),
    Setting("db-pre-config", "none", "a function that sets `pgrst.…` for the server to read", in_database=True),
    Setting(
        "db-tx-end",
        "`commit`",
        "`commit`, `rollback`, or either with `-allow-override`, which allows `Prefer: tx=…`",
        in_database=True,
    ),
    Setting(
        "db-uri",
        "`postgresql://`: libpq's own variables",
        "the database, as a URI, as `host=… dbname=…`, or `@file` to read it from",
        reloads=False,
    ),
    Setting("jwt-aud", "none: any audience", "the audience that a token must name, if it names one", in_database=True),
    Setting(
        "jwt-role-claim-key",
        "`.role`",
        "where in a token the role is, such as `.app_metadata.roles[0]`",
        in_database=True,
        aliases=("role-claim-key",),
    ),
    Setting(
        "jwt-secret",
        "none: tokens are not accepted",
        "a passphrase of 32 characters or more, a JSON Web Key, a set of them, or `@file` to read it from; never shown",
        in_database=True,
    ),
    Setting(
        "jwt-secret-is-base64",
        "`false`",
        "whether the secret is written in base64",
        in_database=True,
        aliases=("secret-is-base64",),
    ),
    Setting(
        "jwt-cache-max-entries",
        "`1000`",
        "the maximum number of cached tokens; `0` disables the cache",
        in_database=True,
    ),
    Setting(
        "log-level", "`error`", "`crit`, `error` (5xx), `warn` (4xx), `info` (all requests) or `debug`", reloads=False
    ),
    Setting("log-query", "`false`", "logs the SQL of the requests that are logged, without its values"),
    Setting(
        "openapi-mode",
        "`follow-privileges`",
        "what `GET /` describes: `follow-privileges`, `ignore-privileges` or `disabled`",
        in_database=True,
    ),
    Setting("openapi-security-active", "`false`", "whether the description says how to send a token", in_database=True),
    Setting("openapi-server-proxy-uri", "none", "the public address in that description", in_database=True),
    Setting(
        "server-cors-allowed-origins",
        "none: any",
        "the origins that may send requests, separated by commas",
        in_database=True,
    ),
    Setting(
        "server-host",
        "`!4`",
        "the address to listen on; `*`, `*4`, `*6` any, IPv4 or IPv6 first; `!4`, `!6` any of that kind only",
        reloads=False,
    ),
    Setting("server-port", "`3000`", "the port; `0` takes a free one, which the log names", reloads=False),
    Setting(
        "server-trace-header", "none", "a header that is copied from the request to its response", in_database=True
    ),
    Setting("server-timing-enabled", "`false`", "adds `Server-Timing` to responses", in_database=True),
    Setting("server-unix-socket", "none", "a socket's path, instead of host and port", reloads=False),
    Setting("server-unix-socket-mode", "`660`", "who may use that socket, from `600` to `777`", reloads=False),
    Setting("admin-server-host", "`server-host`", "the address of the admin server", reloads=False),
    Setting(
        "admin-server-port",
        "none: no admin server",
        "the port of `/live`, `/ready`, `/metrics`, `/schema_cache` and `/config`",
        reloads=False,
    ),
    Setting(f"{APP_SETTINGS}*", "none", "read in SQL by `current_setting('app.settings.…')`; never shown"),
    Setting("internal-schema-cache-query-sleep", "none", "PostgREST's own tests use it; without effect here"),
)
ALIASES: Mapping[str, tuple[str, ...]] = {one.name: one.aliases for one in SETTINGS if one.aliases}


def is_known(name: str) -> bool:
    return name.startswith(APP_SETTINGS) or name in _NAMES


_NAMES = frozenset(name for one in SETTINGS for name in (one.name, *one.aliases))
