"""What the server goes by, once all settings are read and checked."""

from dataclasses import dataclass, field
from typing import Literal

from pgrest.config import Name, RestConfig
from pgrest.jwt import JwtRules

LogLevel = Literal["crit", "error", "warn", "info", "debug"]


@dataclass(frozen=True, slots=True)
class Binding:
    """`socket` goes before host and port. No `admin_port`: no admin server."""

    host: str = "!4"
    port: int = 3000
    socket: str | None = None
    socket_mode: int = 0o660
    admin_host: str = "!4"
    admin_port: int | None = None


@dataclass(frozen=True, slots=True)
class PoolSettings:
    size: int = 10
    wait_seconds: float = 10
    lifetime_seconds: float = 1800
    idle_seconds: float = 30


@dataclass(frozen=True, slots=True)
class ServerSettings:
    dsn: str = field(repr=False)
    rest: RestConfig = field(default_factory=RestConfig)
    jwt: JwtRules = field(default_factory=JwtRules)
    jwt_secret_is_base64: bool = False
    jwt_cache_entries: int = 1000
    anon_role: str | None = None
    binding: Binding = field(default_factory=Binding)
    openapi_proxy_uri: str | None = None
    pool: PoolSettings = field(default_factory=PoolSettings)
    prepares: bool = True
    recovers: bool = True
    channel: str = "pgrst"
    listens: bool = True
    reads_database: bool = True
    pre_config: Name | None = None
    cors_origins: tuple[str, ...] = ()
    """Empty: any."""
    shows_timing: bool = False
    trace_header: str | None = None
    log_level: LogLevel = "error"
    logs_queries: bool = False
