"""One frozen settings object, read from the environment once."""

import base64
import binascii
import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from basewarden.core.secret import Secret
from basewarden.errors import StartError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
KEY_BYTES = 32
MIN_SECRET_LENGTH = 32


class Settings(BaseSettings):
    """Settings as in `docs/reference/settings.md`. Secrets have no default: an embedded start makes them."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", arbitrary_types_allowed=True, env_file=None, env_ignore_empty=True
    )

    origin: str = Field("http://localhost:8000", alias="BASEWARDEN_ORIGIN")
    database_url: Secret = Field(alias="DATABASE_URL")
    secret: Secret = Field(alias="BASEWARDEN_SECRET")
    encryption_key: Secret = Field(alias="BASEWARDEN_ENCRYPTION_KEY")
    encryption_key_old: Secret | None = Field(None, alias="BASEWARDEN_ENCRYPTION_KEY_OLD")
    data_dir: Path | None = Field(None, alias="BASEWARDEN_DATA_DIR")
    allow_private_addresses: bool = Field(default=False, alias="BASEWARDEN_ALLOW_PRIVATE_ADDRESSES")
    redis_url: Secret | None = Field(None, alias="REDIS_URL")
    smtp_url: Secret | None = Field(None, alias="SMTP_URL")
    email_from: str | None = Field(None, alias="EMAIL_FROM")
    github_id: str | None = Field(None, alias="AUTH_GITHUB_ID")
    github_secret: Secret | None = Field(None, alias="AUTH_GITHUB_SECRET")
    github_base_url: str = Field("https://github.com", alias="AUTH_GITHUB_BASE_URL")
    operators: Annotated[tuple[str, ...], NoDecode] = Field((), alias="BASEWARDEN_OPERATORS")
    contact_inbox: str | None = Field(None, alias="CONTACT_INBOX")
    cron_secret: Secret | None = Field(None, alias="CRON_SECRET")
    metrics_token: Secret | None = Field(None, alias="BASEWARDEN_METRICS_TOKEN")
    sentry_dsn: Secret | None = Field(None, alias="SENTRY_DSN")
    otel_endpoint: str | None = Field(None, alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    dodo_api_key: Secret | None = Field(None, alias="DODO_API_KEY")
    dodo_webhook_secret: Secret | None = Field(None, alias="DODO_WEBHOOK_SECRET")
    dodo_product_id: str | None = Field(None, alias="DODO_PRODUCT_ID")
    dodo_mode: Literal["test", "live"] = Field("test", alias="DODO_MODE")
    dodo_base_url: str | None = Field(None, alias="DODO_BASE_URL")
    keep_journal_days: int = Field(90, alias="BASEWARDEN_KEEP_JOURNAL_DAYS", ge=1)
    proposal_hours: int = Field(24, alias="BASEWARDEN_PROPOSAL_HOURS", ge=1, le=24 * 30)
    keep_signins_days: int = Field(90, alias="BASEWARDEN_KEEP_SIGNINS_DAYS", ge=1)
    keep_signups_days: int = Field(14, alias="BASEWARDEN_KEEP_SIGNUPS_DAYS", ge=1)
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field((), alias="BASEWARDEN_TRUSTED_PROXIES")
    max_head_bytes: int = Field(32 * 1024, alias="BASEWARDEN_MAX_HEAD_BYTES", ge=4096, le=1024 * 1024)
    max_headers: int = Field(100, alias="BASEWARDEN_MAX_HEADERS", ge=20, le=10_000)
    max_body_bytes: int = Field(64 * 1024, alias="BASEWARDEN_MAX_BODY_BYTES", ge=16 * 1024)
    max_data_body_bytes: int = Field(16 * 1024 * 1024, alias="BASEWARDEN_MAX_DATA_BODY_BYTES", ge=16 * 1024)
    head_seconds: float = Field(10, alias="BASEWARDEN_HEAD_SECONDS", gt=0)
    body_idle_seconds: float = Field(15, alias="BASEWARDEN_BODY_IDLE_SECONDS", gt=0)
    body_seconds: float = Field(300, alias="BASEWARDEN_BODY_SECONDS", gt=0)
    send_idle_seconds: float = Field(60, alias="BASEWARDEN_SEND_IDLE_SECONDS", gt=0)
    max_connections: int = Field(8192, alias="BASEWARDEN_MAX_CONNECTIONS", ge=1)
    max_connections_per_address: int = Field(512, alias="BASEWARDEN_MAX_CONNECTIONS_PER_ADDRESS", ge=1)
    max_streams: int = Field(2000, alias="BASEWARDEN_MAX_STREAMS", ge=0)
    max_streams_per_person: int = Field(30, alias="BASEWARDEN_MAX_STREAMS_PER_PERSON", ge=1)
    log_level: str = Field("info", alias="BASEWARDEN_LOG_LEVEL")
    agent_query_seconds: float = Field(30, alias="BASEWARDEN_AGENT_QUERY_SECONDS", gt=0)
    member_query_seconds: float = Field(120, alias="BASEWARDEN_MEMBER_QUERY_SECONDS", gt=0)
    max_answer_mb: int = Field(64, alias="BASEWARDEN_MAX_ANSWER_MB", ge=1)
    answer_memory_mb: int = Field(192, alias="BASEWARDEN_ANSWER_MEMORY_MB", ge=2)
    agent_requests_per_minute: int = Field(600_000, alias="BASEWARDEN_AGENT_REQUESTS_PER_MINUTE", ge=1)
    undo_megabytes: int = Field(512, alias="BASEWARDEN_UNDO_MEGABYTES", ge=1)

    @field_validator(
        "database_url",
        "secret",
        "encryption_key",
        "encryption_key_old",
        "redis_url",
        "smtp_url",
        "github_secret",
        "cron_secret",
        "metrics_token",
        "sentry_dsn",
        "dodo_api_key",
        "dodo_webhook_secret",
        mode="before",
    )
    @classmethod
    def _hide(cls, value: Any) -> Any:
        return Secret(value) if isinstance(value, str) else value

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: Secret) -> Secret:
        if len(value.reveal()) < MIN_SECRET_LENGTH:
            raise ValueError(f"must have at least {MIN_SECRET_LENGTH} characters")
        return value

    @field_validator("encryption_key", "encryption_key_old")
    @classmethod
    def _is_key(cls, value: Secret | None) -> Secret | None:
        if value is not None:
            decode_key(value)
        return value

    @field_validator("origin")
    @classmethod
    def _is_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("must look like https://app.example.com, without a path")
        return f"{parts.scheme}://{parts.netloc.lower()}"

    @field_validator("github_base_url")
    @classmethod
    def _is_github(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("must look like https://github.example.com")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("must look like https://github.example.com, without a path")
        return f"{parts.scheme}://{parts.netloc.lower()}"

    @field_validator("dodo_base_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if value is not None and (parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc):
            raise ValueError("must look like https://test.dodopayments.com")
        return value

    @field_validator("trusted_proxies", "operators", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_whole_github(self) -> "Settings":
        if bool(self.github_id) != bool(self.github_secret):
            raise ValueError("AUTH_GITHUB_ID and AUTH_GITHUB_SECRET must both be set")
        return self

    @property
    def has_github(self) -> bool:
        return bool(self.github_id)

    @property
    def has_billing(self) -> bool:
        return bool(self.dodo_api_key) or bool(self.dodo_webhook_secret)

    @property
    def is_https(self) -> bool:
        return self.origin.startswith("https://")

    @property
    def can_use_passkeys(self) -> bool:
        """Browsers want a host name, not a bare address, and https but for this machine's own name."""
        host = urlsplit(self.origin).hostname or ""
        return host == "localhost" or (self.is_https and not _is_bare_address(host))


def _is_bare_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def decode_key(value: Secret) -> bytes:
    """The 32 bytes behind a base64 key; ValueError says what is wrong without showing it."""
    try:
        key = base64.b64decode(value.reveal(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"must be {KEY_BYTES} bytes in base64")
    return key


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process, or a StartError that names the setting in one sentence."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = f"{first['loc'][0]}: " if first["loc"] else ""
        reason = "is required" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
        raise StartError(f"{name}{reason}.") from None
