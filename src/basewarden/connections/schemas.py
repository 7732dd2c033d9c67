"""Request and response bodies. Their JSON names are the contract's camelCase."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    SecretStr,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from basewarden.connections.models import RPC, Access, ColumnRule, Environment, Role
from basewarden.core.text import check_encodable, clean_line
from basewarden.web import RequestBody, ResponseBody

_MAX_URL = 4000
_MAX_IDENTIFIER_BYTES = 63
_MAX_CLAIMS_BYTES = 4096
MAX_TABLES = 500
MAX_SCHEMAS = 50
MAX_HIDDEN_COLUMNS = 1000
_MAX_INT = 2**31 - 1
TOO_MUCH_ACCESS = "gives write access to a table, and the agent's own access is {}"
OTHER_ACCESS = "must give a table the agent's own access, or read"
AgentStatus = Literal["active", "paused", "frozen", "revoked", "expired"]


def check_identifier(name: str) -> str:
    if not name or len(check_encodable(name).encode()) > _MAX_IDENTIFIER_BYTES or re.search(r"[\x00-\x1f]", name):
        raise ValueError("is not a valid PostgreSQL name")
    return name


def check_table(name: str) -> str:
    """Qualifies `orders`, `sales.orders` or `rpc/close_order` with the schema, which defaults to `public`."""
    prefix, rest = (RPC, name.removeprefix(RPC)) if name.startswith(RPC) else ("", name)
    schema, dot, local = rest.partition(".")
    parts = (schema, local) if dot else ("public", schema)
    for part in parts:
        check_identifier(part)
    return prefix + ".".join(parts)


def check_function(name: str) -> str:
    """Qualifies `close_order` or `rpc/close_order` with the schema, which defaults to `public`."""
    return check_table(RPC + name.removeprefix(RPC)).removeprefix(RPC)


def read_table_access(value: object) -> dict[str, Access | None]:
    """Reads a list of names, which have the agent's own access, or an object of a name and its access each."""
    if not isinstance(value, dict):
        return dict.fromkeys(_TABLE_NAMES.validate_python(value))
    names = _TABLE_NAMES.validate_python(list(value))
    if len(set(names)) < len(names):
        raise ValueError("names a table twice")
    if any(name.startswith(RPC) for name in names):
        raise ValueError("names a function, whose place is in functions")
    return dict(zip(names, _ACCESSES.validate_python(list(value.values())), strict=True))


def check_table_access(own: Access, tables: Mapping[str, Access | None] | None) -> None:
    """Raises ValueError where a table has neither the agent's own access nor read."""
    others = {one for one in (tables or {}).values() if one not in (None, Access.READ, own)}
    if Access.WRITE in others:
        raise ValueError(TOO_MUCH_ACCESS.format(own.value))
    if others:
        raise ValueError(OTHER_ACCESS)


def read_column_rules(value: object) -> dict[str, dict[str, ColumnRule]]:
    """Reads an object of a table and its columns, each with `mask` or `deny`."""
    if not isinstance(value, dict) or not all(isinstance(columns, dict) for columns in value.values()):
        raise ValueError('must be an object such as {"public.customers": {"email": "mask"}}')
    tables = _TABLE_NAMES.validate_python(list(value))
    if len(set(tables)) < len(tables):
        raise ValueError("names a table twice")
    if any(name.startswith(RPC) for name in tables):
        raise ValueError("names a function, which has no columns")
    if sum(map(len, value.values())) > MAX_HIDDEN_COLUMNS:
        raise ValueError(f"names more than {MAX_HIDDEN_COLUMNS} columns")
    return {
        name: dict(
            zip(_COLUMNS.validate_python(list(rules)), _RULES.validate_python(list(rules.values())), strict=True)
        )
        for name, rules in zip(tables, value.values(), strict=True)
        if rules
    }


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
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # it could be stored, and not be read again
        raise ValueError("is too far in the future") from None
    if moment <= datetime.now(UTC):
        raise ValueError("is in the past")
    return moment


Name = Annotated[str, AfterValidator(clean_line), Field(min_length=1, max_length=80)]
Identifier = Annotated[str, AfterValidator(check_identifier)]
SchemaNames = Annotated[list[Identifier], Field(max_length=MAX_SCHEMAS)]
Table = Annotated[str, AfterValidator(check_table)]
Function = Annotated[str, AfterValidator(check_function)]
_TABLE_NAMES = TypeAdapter(Annotated[list[Table], Field(max_length=MAX_TABLES)])
_ACCESSES = TypeAdapter(list[Access])
_COLUMNS = TypeAdapter(list[Identifier])
_RULES = TypeAdapter(list[ColumnRule])
ColumnRulesByTable = Annotated[
    dict[str, dict[str, ColumnRule]],
    PlainValidator(read_column_rules),
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {"type": "string", "enum": [one.value for one in ColumnRule]},
            },
            "maxProperties": MAX_TABLES,
        }
    ),
]
TableAccess = Annotated[
    dict[str, Access | None],
    PlainValidator(read_table_access),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "string"}, "maxItems": MAX_TABLES},
                {
                    "type": "object",
                    "additionalProperties": {"type": "string", "enum": [one.value for one in Access]},
                    "maxProperties": MAX_TABLES,
                },
            ]
        }
    ),
]
PostgresURL = Annotated[SecretStr, Field(max_length=_MAX_URL)]
Key = Annotated[SecretStr, Field(max_length=_MAX_URL)]
ProjectURL = Annotated[str, Field(max_length=_MAX_URL), AfterValidator(check_project_url)]
RowLimit = Annotated[int, Field(ge=1, le=1_000_000)]
WriteLimit = Annotated[int, Field(ge=1, le=_MAX_INT)]
Functions = Annotated[list[Function], Field(max_length=MAX_TABLES)]


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
    schemas: SchemaNames | None = Field(
        default=None,
        description="Those that the project's API exposes, for the sentry; empty or null: they are looked up.",
    )

    def has(self, field: str) -> bool:
        return field in self.model_fields_set

    @property
    def changes_access(self) -> bool:
        """True when it changes where requests go or as which role, which requires a fresh sign-in."""
        return any(self.has(field) for field in ("url", "key", "postgres_url", "db_role"))


class AgentSettings(RequestBody):
    name: Name
    access: Access
    db_role: Identifier | None = None
    claims: Annotated[dict[str, Any], AfterValidator(check_claims)] | None = None
    max_rows_per_write: RowLimit = 1000
    max_writes_per_session: WriteLimit = 500
    max_rows_per_session: WriteLimit | None = None
    max_rows_per_hour: WriteLimit | None = None
    max_read_rows_per_hour: WriteLimit | None = None
    requests_per_minute: WriteLimit | None = None
    expires_at: Annotated[datetime, AfterValidator(check_future)] | None = None


class AgentCreate(AgentSettings):
    """`tables` are those that it may use, each with the agent's access or one of its own; None is all.

    Functions may be named in a list of tables too, as `rpc/close_order`. With `tables` or `columns`, no functions means
    none. `columns` are shown as a constant (`mask`), or not at all (`deny`).
    """

    tables: TableAccess | None = None
    functions: Functions | None = None
    columns: ColumnRulesByTable | None = None

    @field_validator("tables")
    @classmethod
    def _check_access(cls, tables: dict[str, Access | None] | None, info: ValidationInfo) -> Any:
        if "access" in info.data:
            check_table_access(info.data["access"], tables)
        return tables

    @property
    def table_access(self) -> dict[str, Access] | None:
        """As `Agent.table_access`."""
        if self.tables is None:
            return None
        return {name: one or self.access for name, one in self.tables.items() if not name.startswith(RPC)}

    @property
    def function_names(self) -> list[str] | None:
        """As `Agent.function_names`."""
        if self.tables is None:
            return [] if self.functions is None and self.columns else self.functions
        listed = [name.removeprefix(RPC) for name in self.tables if name.startswith(RPC)]
        return list(dict.fromkeys([*listed, *(self.functions or ())]))


class AgentChange(AgentSettings):
    """Changes only the sent fields.

    Null stands for every table, for the functions of an agent without a list of them, for no hidden columns, no limit,
    no expiry, no claims, and the role of the connection.
    """

    name: Name = ""
    access: Access = Access.READ
    tables: TableAccess | None = None
    functions: Functions | None = None
    columns: ColumnRulesByTable | None = None


class ConnectionOut(ResponseBody):
    """`role` is the database role of requests, `member` the caller's role here. Secrets are never included."""

    id: UUID
    name: str
    environment: Environment
    has_key: bool
    has_postgres_url: bool
    role: str
    db_role: str | None
    schemas: list[str] | None
    requires_two_factor: bool
    approval_by_another: bool
    member: Role
    server_version: str
    agents_frozen_at: datetime | None
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
    """`tables` is a list where all have the agent's own access, else an object of a name and its access each."""

    id: UUID
    name: str
    access: Access
    tables: list[str] | dict[str, Access] | None
    functions: list[str] | None
    columns: dict[str, dict[str, ColumnRule]] | None
    db_role: str | None
    claims: dict[str, Any] | None
    max_rows_per_write: int
    max_writes_per_session: int
    max_rows_per_session: int | None
    max_rows_per_hour: int | None
    max_read_rows_per_hour: int | None
    requests_per_minute: int | None
    expires_at: datetime | None
    status: AgentStatus
    paused_at: datetime | None
    frozen_at: datetime | None
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


class AgentToken(ResponseBody):
    """The only response that contains the new token."""

    token: str
