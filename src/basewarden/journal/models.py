"""The journal's tables. Mutations are partitioned by month, so that old months are dropped instead of deleted."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ColumnElement, ForeignKey, Index, Text, UniqueConstraint, cast, func, text
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from basewarden.db import Base


class RawJSON(UserDefinedType[str]):
    """JSON that is read as text: a numeric with 40 digits must not pass through a float."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "JSON"

    def column_expression(self, colexpr: ColumnElement[str]) -> ColumnElement[str]:
        return cast(colexpr, Text)


class JournalSession(Base):
    """A run of writes by one caller; `position` and `write_count` are its counters, held under its row lock.

    Its time is `last_seen_at`, when it was last written to. The sessions of an agent are found by `caller_key`, as in
    `journal/agents/queries.py`: an agent has one for each kind of capture.
    Its status is open, held (an undo is running on it, so it accepts no new writes), undone, partly_undone or expired.
    An expired session is being pruned: queries leave it out, and its status never changes again.
    """

    __tablename__ = "journal_sessions"
    __table_args__ = (
        Index("ix_journal_sessions_connection", "connection_id", "id"),
        Index("ix_journal_sessions_caller", "connection_id", "caller_key", "last_seen_at"),
        Index("ix_journal_sessions_last_seen", "connection_id", "last_seen_at", "id"),
        Index(
            "uq_journal_sessions_running_undo",
            "undo_of",
            unique=True,
            postgresql_where=text("undo_state = 'running'"),
        ),
        Index("ix_journal_sessions_undo_of", "undo_of", postgresql_where=text("undo_of IS NOT NULL")),
        Index("ix_journal_sessions_expired", "id", postgresql_where=text("status = 'expired'")),
        Index(
            "ix_journal_sessions_state",
            "connection_id",
            "state_xact",
            postgresql_where=text("state_xact IS NOT NULL"),
        ),
        Index("ix_journal_sessions_frozen", "connection_id", postgresql_where=text("frozen_at IS NOT NULL")),
        Index("ix_journal_sessions_undos", "connection_id", postgresql_where=text("kind = 'undo'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    caller_key: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)  # agent, member, undo
    agent_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None]
    caller_name: Mapped[str] = mapped_column(Text)
    label: Mapped[str | None] = mapped_column(Text)  # the client's own name for it
    capture: Mapped[str] = mapped_column(Text, server_default="statement")
    status: Mapped[str] = mapped_column(Text, server_default="open")  # open, held, undone, …
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    position: Mapped[int] = mapped_column(BigInteger, server_default="0")
    write_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    undo_of: Mapped[UUID | None] = mapped_column(ForeignKey("journal_sessions.id", ondelete="CASCADE"))
    undo_state: Mapped[str | None] = mapped_column(Text)  # running, done, failed: only on kind undo
    receipt: Mapped[dict[str, object] | None] = mapped_column(JSONB)
    frozen_at: Mapped[datetime | None]  # until a member releases it, it takes no writes
    frozen_reason: Mapped[str | None] = mapped_column(Text)  # budget, member
    budget_from: Mapped[int] = mapped_column(BigInteger, server_default="0")  # write_count when it was last released
    state_xact: Mapped[int | None] = mapped_column(BigInteger)  # our transaction that changed its state
    row_count: Mapped[int] = mapped_column(BigInteger, server_default="0")  # cascaded and uncaptured ones, too
    rows_from: Mapped[int] = mapped_column(BigInteger, server_default="0")  # row_count when it was last released


class JournalWrite(Base):
    """One transaction on the project's database; its state is the state of all its mutations.

    Without a transaction id it was asked of the project's own API, which tells none.
    """

    __tablename__ = "journal_writes"
    __table_args__ = (
        Index("ix_journal_writes_session", "session_id", "id"),
        Index("ix_journal_writes_connection", "connection_id", "id"),
        Index("ix_journal_writes_pending", "connection_id", postgresql_where=text("state = 'pending'")),
        Index(
            "ix_journal_writes_settled",
            "connection_id",
            "settled_xact",
            postgresql_where=text("settled_xact IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("journal_sessions.id", ondelete="CASCADE"))
    connection_id: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    xid: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(Text, server_default="pending")  # pending, committed, aborted, unknown
    settled_at: Mapped[datetime | None]
    settled_xact: Mapped[int | None] = mapped_column(BigInteger)  # our transaction that stored the outcome
    verb: Mapped[str] = mapped_column(Text)
    schema: Mapped[str] = mapped_column("schema_name", Text)
    table: Mapped[str] = mapped_column("table_name", Text)
    mutation_count: Mapped[int]
    tables: Mapped[list[str]] = mapped_column(ARRAY(Text))  # "schema.table" of every row it changed
    summary: Mapped[str] = mapped_column(Text)
    unseen: Mapped[list[dict[str, object]] | None] = mapped_column(JSONB)  # changes this capture could not record
    change_counts: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)  # null = all by its own verb and table


class JournalMutation(Base):
    """One row changed by one write. Images are stored twice: as PostgREST's JSON, and as PostgreSQL's exact text."""

    __tablename__ = "journal_mutations"
    __table_args__ = (
        Index("ix_journal_mutations_session", "session_id", "position"),
        Index("ix_journal_mutations_write", "write_id"),
        Index("ix_journal_mutations_row", "connection_id", "schema_name", "table_name", text("md5(row_key)")),
        Index(
            "ix_journal_mutations_new_row",
            "connection_id",
            "schema_name",
            "table_name",
            text("md5(new_row_key)"),
            postgresql_where=text("new_row_key IS NOT NULL"),
        ),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    id: Mapped[int] = mapped_column(
        BigInteger, server_default=text("nextval('journal_mutations_id_seq')"), primary_key=True
    )
    at: Mapped[datetime] = mapped_column(primary_key=True, server_default=func.now())
    write_id: Mapped[UUID] = mapped_column(ForeignKey("journal_writes.id", ondelete="CASCADE"))
    session_id: Mapped[UUID]
    connection_id: Mapped[UUID]
    position: Mapped[int] = mapped_column(BigInteger)
    schema: Mapped[str] = mapped_column("schema_name", Text)
    table: Mapped[str] = mapped_column("table_name", Text)
    verb: Mapped[str] = mapped_column(Text)  # insert, update, delete
    cause: Mapped[str] = mapped_column(Text)  # request, or the foreign key that cascaded to this row
    key_columns: Mapped[list[str]] = mapped_column(ARRAY(Text))
    row_key: Mapped[str] = mapped_column(Text)  # JSON array of the key's exact text, before (of an insert: after)
    new_row_key: Mapped[str | None] = mapped_column(Text)  # when the write changed the key
    set_columns: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # columns that the write named; null = not known
    before: Mapped[str | None] = mapped_column(RawJSON)
    after: Mapped[str | None] = mapped_column(RawJSON)
    before_exact: Mapped[dict[str, str | None] | None] = mapped_column(JSON)
    after_exact: Mapped[dict[str, str | None] | None] = mapped_column(JSON)


class JournalRefusal(Base):
    """Requests of one agent that policy refused in the same way within one hour; `count` says how many.

    It holds no values of rows: `summary` names columns and operators, never what was compared or written.
    """

    __tablename__ = "journal_refusals"
    __table_args__ = (
        UniqueConstraint("agent_id", "hour", "kind_key", name="uq_journal_refusals_kind"),
        Index("ix_journal_refusals_connection", "connection_id", "at", "id"),
        Index("ix_journal_refusals_at", "at"),
        Index("ix_journal_refusals_session", "session_id", postgresql_where=text("session_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    agent_id: Mapped[UUID]
    agent_name: Mapped[str] = mapped_column(Text)
    session_id: Mapped[UUID | None]  # without a foreign key: each is pruned by its own age
    first_at: Mapped[datetime] = mapped_column(server_default=func.now())
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    hour: Mapped[datetime]
    kind_key: Mapped[str] = mapped_column(Text)  # hash of what two refusals of one kind share
    code: Mapped[str] = mapped_column(Text)
    method: Mapped[str] = mapped_column(Text)
    table: Mapped[str | None] = mapped_column("table_name", Text)
    summary: Mapped[str] = mapped_column(Text)
    count: Mapped[int] = mapped_column(BigInteger, server_default="1")
    row_limit: Mapped[int | None]  # that the write would have passed, as it was then
    after_reading: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # `schema.table.column` of what it had read
    xact: Mapped[int | None] = mapped_column(BigInteger)  # our transaction that last counted it


class JournalIntervention(Base):
    """A session, an agent or all agents of a connection were stopped or released, or a write decided: by whom and why.

    With a session it concerns that, else with an agent that, else all agents. Without a person it was a limit.
    """

    __tablename__ = "journal_interventions"
    __table_args__ = (
        Index("ix_journal_interventions_connection", "connection_id", "at", "id"),
        Index("ix_journal_interventions_at", "at"),
        Index("ix_journal_interventions_agent", "agent_id", postgresql_where=text("agent_id IS NOT NULL")),
        Index("ix_journal_interventions_session", "session_id", postgresql_where=text("session_id IS NOT NULL")),
        Index("ix_journal_interventions_user", "user_id", postgresql_where=text("user_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    action: Mapped[str] = mapped_column(Text)  # pause, resume, freeze, release, approve, decline
    agent_id: Mapped[UUID | None]
    agent_name: Mapped[str | None] = mapped_column(Text)
    session_id: Mapped[UUID | None]  # without a foreign key: each is pruned by its own age
    user_id: Mapped[UUID | None]
    user_name: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    xact: Mapped[int | None] = mapped_column(BigInteger)  # our transaction that stored it
