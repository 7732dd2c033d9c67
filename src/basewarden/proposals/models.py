"""The table of proposals: writes that wait for a person's approval."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Index, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from basewarden.db import Base


class Proposal(Base):
    """A write that an agent asked for, with the rows as they would be.

    Its status is pending, executing (an approval runs it now), or one of executed, declined, stale, expired and failed,
    which never change again.
    """

    __tablename__ = "proposals"
    __table_args__ = (
        Index("ix_proposals_connection", "connection_id", "id"),
        Index("ix_proposals_pending", "connection_id", "agent_id", postgresql_where=text("status = 'pending'")),
        Index("ix_proposals_open", "expires_at", postgresql_where=text("status IN ('pending', 'executing')")),
        Index("ix_proposals_session", "session_id", postgresql_where=text("session_id IS NOT NULL")),
        Index("ix_proposals_decided_by", "decided_by", postgresql_where=text("decided_by IS NOT NULL")),
        Index("ix_proposals_created_at", "created_at"),
        Index("ix_proposals_xact", "connection_id", "xact"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    agent_id: Mapped[UUID]
    agent_name: Mapped[str] = mapped_column(Text)
    label: Mapped[str | None] = mapped_column(Text)  # the client's own name for its session
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(Text, server_default="pending")
    method: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    query: Mapped[str] = mapped_column(Text)
    headers: Mapped[list[list[str]]] = mapped_column(JSONB)  # those that bear on the write; no credential
    body: Mapped[bytes] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)  # of the agent, the label and the request
    verb: Mapped[str] = mapped_column(Text)
    schema: Mapped[str] = mapped_column("schema_name", Text)
    table: Mapped[str] = mapped_column("table_name", Text)
    summary: Mapped[str] = mapped_column(Text)
    row_count: Mapped[int]
    tables: Mapped[list[str]] = mapped_column(ARRAY(Text))  # "schema.table" of every row it would change
    change_counts: Mapped[list[dict[str, Any]]] = mapped_column(JSON)  # its rows by table and verb
    changes: Mapped[list[dict[str, Any]]] = mapped_column(JSON, deferred=True, deferred_raiseload=True)
    uncaptured: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # changes that are counted and not recorded
    reserve: Mapped[int]  # rows that it may change, where they are not known before
    is_computed: Mapped[bool]  # the rows after are computed from the request: no transaction has shown them
    after_reading: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")  # tables of strangers' rows
    made: Mapped[dict[str, list[str]]] = mapped_column(JSONB)  # columns that the database makes new at each run
    decided_by: Mapped[UUID | None]
    decided_name: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
    claimed_at: Mapped[datetime | None]  # while it is executing: when that was last seen alive
    write_id: Mapped[UUID | None]  # of the journal, given before the write is run
    session_id: Mapped[UUID | None]  # without a foreign key: each is pruned by its own age
    result_status: Mapped[int | None]
    result_type: Mapped[str | None] = mapped_column(Text)
    result_body: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)
    failure_code: Mapped[str | None] = mapped_column(Text)
    failure: Mapped[str | None] = mapped_column(Text)  # why it is stale or failed
    xact: Mapped[int | None] = mapped_column(BigInteger)  # our transaction that last changed its status
