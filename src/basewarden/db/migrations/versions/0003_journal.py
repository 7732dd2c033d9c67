"""The journal: sessions, writes, and mutations partitioned by month."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "journal_sessions",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("connection_id", sa.Uuid(), sa.ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
        sa.Column("caller_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Uuid()),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("caller_name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text()),
        sa.Column("capture", sa.Text(), server_default="statement", nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("write_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("undo_of", sa.Uuid(), sa.ForeignKey("journal_sessions.id", ondelete="CASCADE")),
        sa.Column("undo_state", sa.Text()),
        sa.Column("receipt", postgresql.JSONB()),
    )
    op.create_index("ix_journal_sessions_connection", "journal_sessions", ["connection_id", "id"])
    op.create_index("ix_journal_sessions_caller", "journal_sessions", ["connection_id", "caller_key", "last_seen_at"])
    op.create_index(
        "uq_journal_sessions_running_undo",
        "journal_sessions",
        ["undo_of"],
        unique=True,
        postgresql_where=sa.text("undo_state = 'running'"),
    )
    op.create_table(
        "journal_writes",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("session_id", sa.Uuid(), sa.ForeignKey("journal_sessions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("mutation_count", sa.Integer(), nullable=False),
        sa.Column("tables", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("unseen", postgresql.JSONB()),
    )
    op.create_index("ix_journal_writes_session", "journal_writes", ["session_id", "id"])
    op.create_index(
        "ix_journal_writes_pending",
        "journal_writes",
        ["connection_id"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "journal_mutations",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("write_id", sa.Uuid(), sa.ForeignKey("journal_writes.id", ondelete="CASCADE"), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("key_columns", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("row_key", sa.Text(), nullable=False),
        sa.Column("new_row_key", sa.Text()),
        sa.Column("set_columns", sa.ARRAY(sa.Text())),
        sa.Column("before", sa.JSON()),
        sa.Column("after", sa.JSON()),
        sa.Column("before_exact", sa.JSON()),
        sa.Column("after_exact", sa.JSON()),
        sa.PrimaryKeyConstraint("id", "at"),
        postgresql_partition_by="RANGE (at)",
    )
    # Identity columns on partitioned tables came with PostgreSQL 17; a sequence does on 15 as well.
    op.execute("CREATE SEQUENCE journal_mutations_id_seq OWNED BY journal_mutations.id")
    op.execute("ALTER TABLE journal_mutations ALTER COLUMN id SET DEFAULT nextval('journal_mutations_id_seq')")
    op.create_index("ix_journal_mutations_session", "journal_mutations", ["session_id", "position"])
    op.create_index("ix_journal_mutations_write", "journal_mutations", ["write_id"])
    op.create_index(
        "ix_journal_mutations_row",
        "journal_mutations",
        ["connection_id", "schema_name", "table_name", sa.text("md5(row_key)")],
    )
    op.create_index(
        "ix_journal_mutations_new_row",
        "journal_mutations",
        ["connection_id", "schema_name", "table_name", sa.text("md5(new_row_key)")],
        postgresql_where=sa.text("new_row_key IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("journal_mutations")
    op.drop_table("journal_writes")
    op.drop_table("journal_sessions")
