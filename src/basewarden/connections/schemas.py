"""Request and response bodies. Their JSON names are the contract's camelCase."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr

from basewarden.connections.models import Access, Environment, Role
from basewarden.core.text import check_encodable, clean_line
from basewarden.web import RequestBody, ResponseBody

_MAX_URL = 4000
_MAX_IDENTIFIER_BYTES = 63
_MAX_CLAIMS_BYTES = 4096
MAX_TABLES = 500
_RPC = "rpc/"
_MAX_INT = 2**31 - 1


def check_identifier(name: str) -> str:
    if not name or len(check_encodable(name).encode()) > _MAX_IDENTIFIER_BYTES or re.search(r"[\x00-\x1f]", name):
        raise ValueError("is not a valid PostgreSQL name")
    return name


def check_table(name: str) -> str:
    """Qualifies `orders`, `sales.orders` or `rpc/close_order` with the schema, which defaults to `public`."""
    prefix, rest = (_RPC, name.removeprefix(_RPC)) if name.startswith(_RPC) else ("", name)
    schema, dot, local = rest.partition(".")
    parts = (schema, local) if dot else ("public", schema)
    for part in parts:
        check_identifier(part)
    return prefix + ".".join(parts)


def check_project_url(url: str) -> str:
    """Rejects a Postgres connection string in the field of a project's URL with a message of its own."""
    if url.strip().lower().startswith(("postgres://", "postgresql://")):
        raise ValueError("This is a Postgres connection string. Paste it into the field “Postgres connection string”.")
    return url


def check_claims(claims: dict[str, Any]) -> dict[str, Any]:
    """Checks claims, which are stored as jsonb and passed to the database as a setting: neither accepts a NUL."""
    text = check_encodable(json.dumps(claims, allow_nan=False, ensure_ascii=False))
    if len(text.encode()) > _MAX_CLAIMS_BYTES:
        raise ValueError(f"must be at most {_MAX_CLAIMS_BYTES} bytes as JSON")
    if "\\u0000" in text:
        raise ValueError("contains a character that PostgreSQL does not accept")
    return claims


def check_future(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment <= datetime.now(UTC):
        raise ValueError("is in the past")
    return moment


Name = Annotated[str, AfterValidator(clean_line), Field(min_length=1, max_length=80)]
Identifier = Annotated[str, AfterValidator(check_identifier)]
Table = Annotated[str, AfterValidator(check_table)]
PostgresURL = Annotated[SecretStr, Field(max_length=_MAX_URL)]
Key = Annotated[SecretStr, Field(max_length=_MAX_URL)]
ProjectURL = Annotated[str, Field(max_length=_MAX_URL), AfterValidator(check_project_url)]
RowLimit = Annotated[int, Field(ge=1, le=1_000_000)]
WriteLimit = Annotated[int, Field(ge=1, le=_MAX_INT)]


class ConnectionCreate(RequestBody):
    """`url` and `key` are a project's, `postgresUrl` any Postgres; the service checks that one of them is complete."""

    name: Name
    environment: Environment = Environment.OTHER
    url: ProjectURL | None = None
    key: Key | None = None
    postgres_url: PostgresURL | None = None
    db_role: Identifier | None = None


class ConnectionChange(RequestBody):
    """Changes only the sent fields; null removes an address, and `dbRole: null` restores the login's own role."""

    name: Name = ""
    environment: Environment = Environment.OTHER
    url: ProjectURL | None = None
    key: Key | None = None
    postgres_url: PostgresURL | None = None
    db_role: Identifier | None = None

    def has(self, field: str) -> bool:
        return field in self.model_fields_set

    @property
    def changes_access(self) -> bool:
        """True when it changes where requests go or as which role, which requires a fresh sign-in."""
        return any(self.has(field) for field in ("url", "key", "postgres_url", "db_role"))


class AgentCreate(RequestBody):
    name: Name
    access: Access
    tables: Annotated[list[Table], Field(max_length=MAX_TABLES)] | None = None
    db_role: Identifier | None = None
    claims: Annotated[dict[str, Any], AfterValidator(check_claims)] | None = None
    max_rows_per_write: RowLimit = 1000
    max_writes_per_session: WriteLimit = 500
    expires_at: Annotated[datetime, AfterValidator(check_future)] | None = None


class ConnectionOut(ResponseBody):
    """`role` is the database role of requests, `member` the caller's role here. Secrets are never included."""

    id: UUID
    name: str
    environment: Environment
    has_key: bool
    has_postgres_url: bool
    role: str
    db_role: str | None
    member: Role
    server_version: str
    created_at: datetime


class ConnectionsOut(ResponseBody):
    connections: list[ConnectionOut]
    next_cursor: UUID | None


class RoleOut(ResponseBody):
    name: str
    is_superuser: bool
    bypasses_rls: bool


class HealthOut(ResponseBody):
    """The result of a probe: `ok` with the facts, or not `ok` with the reason.

    `backend` is how data is accessed: the database itself, or the project's API, for which fewer facts are known.
    """

    ok: bool
    backend: Literal["direct", "forward"]
    reason: str | None = None
    message: str | None = None
    hint: str | None = None
    server_version: str | None = None
    latency_ms: float | None = None
    login_role: str | None = None
    uses_tls: bool | None = None
    is_superuser: bool | None = None
    bypasses_rls: bool | None = None
    is_read_only: bool | None = None
    tables: int | None = None
    readable_tables: int | None = None
    writable_tables: int | None = None
    roles: list[RoleOut] = Field(default_factory=list)
    key_role: str | None = None
    tells_schema: bool | None = None
    schemas: list[str] | None = None


class AgentOut(ResponseBody):
    id: UUID
    name: str
    access: Access
    tables: list[str] | None
    db_role: str | None
    claims: dict[str, Any] | None
    max_rows_per_write: int
    max_writes_per_session: int
    expires_at: datetime | None
    token_hint: str
    last_used_at: datetime | None
    created_at: datetime


class AgentsOut(ResponseBody):
    agents: list[AgentOut]
    next_cursor: UUID | None


class AgentCreated(ResponseBody):
    """The only response that contains the token."""

    id: UUID
    token: str
