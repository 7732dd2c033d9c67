"""The tables of connections, their members and their agents."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from basewarden.db import Base
from basewarden.vault import sealed_column

RPC = "rpc/"
"""Begins the name of a function in a list of tables."""


class Environment(StrEnum):
    PRODUCTION = "production"
    STAGING = "staging"
    DEVELOPMENT = "development"
    OTHER = "other"


ENVIRONMENT_CHOICES = (
    (Environment.DEVELOPMENT, "Development", None),
    (Environment.STAGING, "Staging", None),
    (Environment.PRODUCTION, "Production", "Production is marked on every page, and deleting it requires its name."),
    (Environment.OTHER, "Other", None),
)
"""The environments as a form offers them: value, text, explanation."""


class Role(StrEnum):
    """What a person may do on a connection; each role includes the previous ones."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"

    def includes(self, other: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(other)


class Access(StrEnum):
    """Each includes the previous ones: what `propose` would write waits for a person's approval."""

    READ = "read"
    PROPOSE = "propose"
    WRITE = "write"

    def includes(self, other: "Access") -> bool:
        order = list(Access)
        return order.index(self) >= order.index(other)


class ColumnRule(StrEnum):
    MASK = "mask"
    DENY = "deny"


class GuardMode(StrEnum):
    BLOCK = "block"
    OFF = "off"


class ColumnMark(StrEnum):
    SENSITIVE = "sensitive"
    NOT_SENSITIVE = "not_sensitive"


class StrangerMode(StrEnum):
    """What becomes of an agent's writes once it has read rows that strangers may have written."""

    ALLOW = "allow"
    HOLD = "hold"


class TableMark(StrEnum):
    PUBLIC = "public"
    NOT_PUBLIC = "not_public"


class WriterMark(StrEnum):
    """Who writes the rows of a table: anyone, or only those whose words may reach an agent."""

    STRANGERS = "strangers"
    TRUSTED = "trusted"


class AgentState(StrEnum):
    ACTIVE = "active"
    NEVER_USED = "never_used"
    PAUSED = "paused"
    FROZEN = "frozen"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Connection(Base):
    """A saved project: its Postgres connection string, its URL and key, or both."""

    __tablename__ = "connections"
    __table_args__ = (
        CheckConstraint("sealed_postgres_url IS NOT NULL OR sealed_key IS NOT NULL", name="reachable"),
        CheckConstraint("(sealed_postgres_url IS NULL) = (facts IS NULL)", name="postgres_whole"),
        CheckConstraint(
            "(url IS NULL) = (sealed_key IS NULL) AND (url IS NULL) = (rest_facts IS NULL)", name="project_whole"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    environment: Mapped[str] = mapped_column(Text)
    sealed_postgres_url: Mapped[bytes | None] = sealed_column(nullable=True)
    url: Mapped[str | None] = mapped_column(Text)  # of the API, as the probe found it
    sealed_key: Mapped[bytes | None] = sealed_column(nullable=True)
    db_role: Mapped[str | None] = mapped_column(Text)
    schemas: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # that its API exposes; else they are looked up
    requires_two_factor: Mapped[bool] = mapped_column(server_default=text("false"))  # of members, not of agents
    approval_by_another: Mapped[bool] = mapped_column(server_default=text("false"))  # than who created the agent
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    rest_facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    probed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    failing_since: Mapped[datetime | None]  # the first failed check since the last successful one
    failing_reason: Mapped[str | None] = mapped_column(Text)
    changed_at: Mapped[dict[str, str]] = mapped_column(JSONB, server_default="{}")  # by part of the settings
    agents_frozen_at: Mapped[datetime | None]  # until a member releases them, no agent may do anything
    guard: Mapped[str] = mapped_column(Text, server_default="block")  # or off: the guard against exfiltration
    guard_columns: Mapped[dict[str, dict[str, str]]] = mapped_column(JSONB, server_default="{}")  # marks, by table
    guard_tables: Mapped[dict[str, str]] = mapped_column(JSONB, server_default="{}")
    guard_strangers: Mapped[str] = mapped_column(Text, server_default="allow")  # or hold: writes after their rows
    guard_writers: Mapped[dict[str, str]] = mapped_column(JSONB, server_default="{}")  # marks, by table
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def is_direct(self) -> bool:
        """True when the database itself is connected to; otherwise the project's API is used."""
        return self.sealed_postgres_url is not None

    @property
    def assumed_role(self) -> str | None:
        """The role that requests run as, if not the login's own: the one that is set, or the key's."""
        return self.db_role or (self.rest_facts["role"] if self.rest_facts is not None else None)

    @property
    def role(self) -> str:
        return self.assumed_role or str(self.facts["login_role"] if self.facts is not None else "")

    @property
    def server(self) -> str:
        """The server's name and version."""
        if self.facts is not None:
            return f"PostgreSQL {self.facts['server_version'].split(' ')[0]}"
        return str(self.rest_facts["server"]) if self.rest_facts is not None else ""

    def list_changes(self) -> dict[str, datetime]:
        """Lists when each part of the settings was last changed; parts that never were are absent."""
        return {part: datetime.fromisoformat(when) for part, when in self.changed_at.items()}


class ConnectionMember(Base):
    __tablename__ = "connection_members"
    __table_args__ = (Index("ix_connection_members_user_id_connection_id", "user_id", "connection_id"),)

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    steps_dismissed_at: Mapped[datetime | None]  # the first steps on the connection's home


class ConnectionInvitation(Base):
    """An invitation by email. Sending it again replaces its token; it ends with `accepted_at`, or is deleted."""

    __tablename__ = "connection_invitations"
    __table_args__ = (
        Index(
            "ix_connection_invitations_waiting",
            "connection_id",
            "email_key",
            unique=True,
            postgresql_where=text("accepted_at IS NULL"),
        ),
        Index("ix_connection_invitations_email_key", "email_key"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    email: Mapped[str] = mapped_column(Text)
    email_key: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    invited_by: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)


class Agent(Base):
    """A revoked agent is kept, because its sessions in the journal refer to its name; `list_agents` can omit it."""

    __tablename__ = "agents"
    __table_args__ = (Index("ix_agents_connection_id_id", "connection_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    token_hint: Mapped[str] = mapped_column(Text)
    access: Mapped[str] = mapped_column(Text)
    tables: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # with the agent's own access; once `rpc/…`, too
    read_tables: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # that it may only read
    functions: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    columns: Mapped[dict[str, dict[str, str]] | None] = mapped_column(JSONB(none_as_null=True))  # what is not shown
    db_role: Mapped[str | None] = mapped_column(Text)
    claims: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    max_rows_per_write: Mapped[int]
    max_writes_per_session: Mapped[int]
    max_rows_per_session: Mapped[int | None]
    max_rows_per_hour: Mapped[int | None]
    max_read_rows_per_hour: Mapped[int | None]
    requests_per_minute: Mapped[int | None]
    expires_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    frozen_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def table_access(self) -> dict[str, Access] | None:
        """What it may do with each table, by `schema.table`; None is its own access to every table."""
        if self.tables is None:
            return None
        own = dict.fromkeys((name for name in self.tables if not name.startswith(RPC)), Access(self.access))
        return {**own, **dict.fromkeys(self.read_tables or (), Access.READ)}

    @property
    def example_tables(self) -> list[str] | None:
        """The tables to show an example of: of a list, those that have the agent's own access where there are any."""
        return self.tables or self.read_tables or self.tables

    @property
    def writes_tables(self) -> bool:
        return self.access != Access.READ and self.tables != []

    @property
    def function_names(self) -> list[str] | None:
        """The functions that it may call, as `schema.function`; None is every one."""
        if self.functions is not None or self.tables is None:
            return [] if self.functions is None and self.columns else self.functions
        return [name.removeprefix(RPC) for name in self.tables if name.startswith(RPC)]

    @property
    def status(self) -> str:
        """Returns the state in the API, which counts an agent that was never used as active."""
        state = self.state
        return (AgentState.ACTIVE if state is AgentState.NEVER_USED else state).value

    @property
    def state(self) -> AgentState:
        if self.revoked_at is not None:
            return AgentState.REVOKED
        if self.expires_at is not None and self.expires_at <= datetime.now(UTC):
            return AgentState.EXPIRED
        if self.frozen_at is not None:
            return AgentState.FROZEN
        if self.paused_at is not None:
            return AgentState.PAUSED
        return AgentState.NEVER_USED if self.last_used_at is None else AgentState.ACTIVE


AgentHold = Literal["frozen", "paused", "read"]
"""What holds an agent's requests until a member releases or resumes it; `read`: what it has read limits its writes."""


class AgentRead(Base):
    """A sensitive column that an agent has read, in any session. A member's release deletes it.

    An empty column stands for rows that strangers may have written.
    """

    __tablename__ = "agent_reads"

    agent_id: Mapped[UUID] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True)
    table: Mapped[str] = mapped_column("table_name", Text, primary_key=True)  # schema.table
    column: Mapped[str] = mapped_column("column_name", Text, primary_key=True)
    read_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def is_of_strangers(self) -> bool:
        return not self.column
