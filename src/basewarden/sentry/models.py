"""The tables of the sentry: its scans, what they found, what became of it, and what was changed for it."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, false, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from basewarden.db import Base


class ScanStatus(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ScanCause(StrEnum):
    """Why a scan was started."""

    REQUEST = "request"
    SCHEDULE = "schedule"
    SCHEMA_CHANGE = "schema_change"


class ScanSchedule(StrEnum):
    """How often a connection is scanned automatically."""

    OFF = "off"
    DAILY = "daily"
    HOURLY = "hourly"


class FindingStatus(StrEnum):
    """`acknowledged`: a person knows of it and lets it be, for a time or for good.

    `quarantined`: what it is about is closed to strangers for now.
    """

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    QUARANTINED = "quarantined"


class ChangeKind(StrEnum):
    FIX = "fix"
    QUARANTINE = "quarantine"


class ChangeStatus(StrEnum):
    """`applying` and `undoing` are stored before the project's database commits, so that none is ever lost.

    `failed`: it was never applied. `ended`: it holds no more, since others changed the object meanwhile.
    """

    APPLYING = "applying"
    APPLIED = "applied"
    UNDOING = "undoing"
    UNDONE = "undone"
    FAILED = "failed"
    ENDED = "ended"


class VersionCause(StrEnum):
    """How a schema came to be as it is in a version.

    `session`: a write or a call through Basewarden. `unknown`: by others, or by a function that was called through it.
    """

    FIRST = "first"
    SESSION = "session"
    FIX = "fix"
    QUARANTINE = "quarantine"
    OUTSIDE = "outside"
    UNKNOWN = "unknown"


class SentryScan(Base):
    __tablename__ = "sentry_scans"
    __table_args__ = (
        Index("ix_sentry_scans_connection", "connection_id", "id"),
        Index("ix_sentry_scans_running", "connection_id", unique=True, postgresql_where=text("status = 'running'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(Text, server_default="running")
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())  # the last sign of life of a running one
    cause: Mapped[str] = mapped_column(Text, server_default="request")
    asked: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # the schemas that were asked for
    schemas: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    schemas_from: Mapped[str | None] = mapped_column(Text)  # a SchemaSource
    rules: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")  # the outcome of each
    opened: Mapped[int] = mapped_column(server_default="0")
    closed: Mapped[int] = mapped_column(server_default="0")
    failure: Mapped[str | None] = mapped_column(Text)


class SentryWatch(Base):
    """The automatic scans of a connection.

    `catalog` is the catalog's version (its digest) that the last scan has looked at: a schema with another one has
    changed since. A scan that starts counts as an attempt until it ends well, so that one whose process dies backs off
    as one that fails.
    """

    __tablename__ = "sentry_watches"

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True)
    schedule: Mapped[str] = mapped_column(Text, server_default="daily")
    next_at: Mapped[datetime | None]  # by schedule; None where that is off
    change_at: Mapped[datetime | None]  # because the schema has changed
    quiet_until: Mapped[datetime | None]  # no scan because of a change before that
    attempts: Mapped[int] = mapped_column(server_default="0")  # since the last scan that ended well
    catalog: Mapped[str | None] = mapped_column(Text)

    @property
    def due_at(self) -> datetime | None:
        return min((one for one in (self.next_at, self.change_at) if one is not None), default=None)

    @property
    def is_change_next(self) -> bool:
        return self.change_at is not None and self.change_at == self.due_at


class SentryFinding(Base):
    """What a rule says of one object, by its fingerprint the same in every scan."""

    __tablename__ = "sentry_findings"
    __table_args__ = (
        UniqueConstraint("connection_id", "fingerprint", name="uq_sentry_findings_fingerprint"),
        Index("ix_sentry_findings_list", "connection_id", "status", "severity", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    fingerprint: Mapped[str] = mapped_column(Text)
    rule: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    explanation: Mapped[str] = mapped_column(Text)
    object: Mapped[dict[str, Any]] = mapped_column(JSONB)  # type, schema, name, column, arguments
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB)  # what the catalog says, and what probes saw; no value
    request: Mapped[str | None] = mapped_column(Text)  # what a stranger would send
    fix: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="open")
    first_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    acknowledged_until: Mapped[datetime | None]

    @property
    def current_status(self) -> str:
        """Open once the time of its acknowledgement is over, whether or not a scan has noted that."""
        until = self.acknowledged_until
        is_over = until is not None and until <= datetime.now(UTC)
        return FindingStatus.OPEN if self.status == FindingStatus.ACKNOWLEDGED and is_over else self.status


class FindingEvent(Base):
    """Its history: opened, reopened, resolved by a scan; acknowledged or reopened by a person; what was changed."""

    __tablename__ = "sentry_finding_events"
    __table_args__ = (
        Index("ix_sentry_finding_events_finding", "finding_id", "id"),
        Index("ix_sentry_finding_events_actor", "actor_id", postgresql_where=text("actor_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    finding_id: Mapped[UUID] = mapped_column(ForeignKey("sentry_findings.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    scan_id: Mapped[UUID | None]
    actor_id: Mapped[UUID | None]
    actor_name: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    sql: Mapped[str | None] = mapped_column(Text)  # what ran in the project's database


class SentryChange(Base):
    """A fix that was applied, or a quarantine: what ran, what takes it back, and the catalog before and after."""

    __tablename__ = "sentry_changes"
    __table_args__ = (
        Index("ix_sentry_changes_list", "connection_id", "kind", "id"),
        Index("ix_sentry_changes_finding", "finding_id", "id"),
        Index(
            "ix_sentry_changes_running",
            "connection_id",
            unique=True,
            postgresql_where=text("status IN ('applying', 'undoing')"),
        ),
        Index(
            "ix_sentry_changes_quarantined",
            "connection_id",
            "target",
            unique=True,
            postgresql_where=text("kind = 'quarantine' AND status IN ('applying', 'applied', 'undoing')"),
        ),
        Index("ix_sentry_changes_actor", "actor_id", postgresql_where=text("actor_id IS NOT NULL")),
        Index("ix_sentry_changes_undone_by", "undone_by", postgresql_where=text("undone_by IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    finding_id: Mapped[UUID] = mapped_column(ForeignKey("sentry_findings.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    target: Mapped[str] = mapped_column(Text)  # the object's kind and name
    sql: Mapped[str] = mapped_column(Text)
    inverse: Mapped[str] = mapped_column(Text)
    before: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # the states of what it changed
    after: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    xid: Mapped[int] = mapped_column(BigInteger)  # the project's transaction that applied it, or takes it back
    actor_id: Mapped[UUID | None]
    actor_name: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    applied_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[UUID | None]
    undone_by_name: Mapped[str | None] = mapped_column(Text)


class SchemaHead(Base):
    """What was last read of a connection's schema.

    `checks` counts the readings: one is stored only where no other process has stored one since it began. Transactions
    from `next_xid` on had not begun by then, and those of `unfinished` had not ended. `problem` says why the last
    reading failed.
    """

    __tablename__ = "schema_heads"

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(server_default="0")  # of the newest version
    checks: Mapped[int] = mapped_column(server_default="0")
    checked_at: Mapped[datetime | None]
    catalog: Mapped[str | None] = mapped_column(Text)
    next_xid: Mapped[int] = mapped_column(BigInteger, server_default="0")
    unfinished: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")
    problem: Mapped[str | None] = mapped_column(Text)


class SchemaVersion(Base):
    """A connection's schema as it was from `at` on: its structure, without any value of a row.

    Versions are numbered from 1 for each connection. `summary` has the first sentences of what changed, `briefs` what
    messages may say of it.
    """

    __tablename__ = "schema_versions"
    __table_args__ = (
        UniqueConstraint("connection_id", "number", name="uq_schema_versions_number"),
        Index("ix_schema_versions_at", "at"),
        Index("ix_schema_versions_user", "user_id", postgresql_where=text("user_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    number: Mapped[int]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    body: Mapped[bytes] = mapped_column(LargeBinary)  # as `encode_structure` makes it
    size: Mapped[int]  # of the body
    added: Mapped[int] = mapped_column(server_default="0")
    changed: Mapped[int] = mapped_column(server_default="0")
    removed: Mapped[int] = mapped_column(server_default="0")
    summary: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    briefs: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    cause: Mapped[str] = mapped_column(Text)  # a VersionCause
    is_shared: Mapped[bool] = mapped_column(server_default=false())  # others changed something, too
    user_id: Mapped[UUID | None]
    actor_name: Mapped[str | None] = mapped_column(Text)
    session_id: Mapped[UUID | None]  # without a foreign key: each is pruned by its own age
    finding_id: Mapped[UUID | None]
