"""Alerts: where messages about events go, the events that wait for a message, and the messages with their results.

Triggers add the events in the transaction that freezes a session, counts a refusal or ends an undo: these happen in
many places, and no alert may miss one. They do nothing for a connection without alerts.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0016"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
# An alert that is being deleted is skipped and not waited for: the journal's transactions must not wait for people.
_ADD = """
    CREATE FUNCTION add_alert_event(connection uuid, kind text, subject uuid, why text, number bigint)
    RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO alert_events (alert_id, event, subject_id, reason, count)
        SELECT id, kind, subject, why, number FROM alerts
        WHERE connection_id = connection AND kind = ANY(events) AND disabled_at IS NULL
        ORDER BY id FOR KEY SHARE SKIP LOCKED
        ON CONFLICT (alert_id, event, subject_id) DO UPDATE SET
            count = alert_events.count + excluded.count, reason = excluded.reason, at = now();
        IF FOUND THEN
            PERFORM pg_notify('basewarden', 'alerts:' || connection);
        END IF;
    END $$
"""
_FUNCTIONS = (
    """
    CREATE FUNCTION note_frozen_session() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM add_alert_event(NEW.connection_id, 'session_frozen', NEW.id, NEW.frozen_reason, 1);
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION note_finished_undo() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM add_alert_event(NEW.connection_id, 'undo_finished', NEW.id, NULL, 1);
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION note_refusal() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE known bigint := 0;
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            known := OLD.count;
        END IF;
        PERFORM add_alert_event(NEW.connection_id, 'write_refused', NEW.id, NEW.code, NEW.count - known);
        RETURN NULL;
    END $$
    """,
)
_TRIGGERS = (
    """
    CREATE TRIGGER note_frozen AFTER UPDATE OF frozen_at ON journal_sessions FOR EACH ROW
    WHEN (NEW.frozen_at IS NOT NULL AND OLD.frozen_at IS NULL) EXECUTE FUNCTION note_frozen_session()
    """,
    """
    CREATE TRIGGER note_finished AFTER UPDATE OF undo_state ON journal_sessions FOR EACH ROW
    WHEN (NEW.undo_state = 'done' AND OLD.undo_state IS DISTINCT FROM NEW.undo_state)
    EXECUTE FUNCTION note_finished_undo()
    """,
    """
    CREATE TRIGGER note_refused AFTER INSERT OR UPDATE OF count ON journal_refusals FOR EACH ROW
    EXECUTE FUNCTION note_refusal()
    """,
)


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("sealed_target", sa.LargeBinary(), nullable=True),
        sa.Column("target_hint", sa.Text(), nullable=True),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_old_secret", sa.LargeBinary(), nullable=True),
        sa.Column("old_secret_until", _TIME, nullable=True),
        sa.Column("events", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("failing_since", _TIME, nullable=True),
        sa.Column("delivered_at", _TIME, nullable=True),
        sa.Column("disabled_at", _TIME, nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_alerts_connection_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_alerts_user_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="fk_alerts_created_by", ondelete="SET NULL"),
        sa.CheckConstraint("(channel = 'email') = (user_id IS NOT NULL)", name="person"),
        sa.CheckConstraint("(user_id IS NULL) = (sealed_target IS NOT NULL)", name="target"),
    )
    op.create_index("ix_alerts_connection_id_id", "alerts", ["connection_id", "id"])
    op.create_table(
        "alert_events",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), primary_key=True),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_alert_events_alert_id", ondelete="CASCADE"),
        sa.UniqueConstraint("alert_id", "event", "subject_id", name="uq_alert_events_subject"),
    )
    op.create_table(
        "alert_deliveries",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("attempted_at", _TIME, nullable=True),
        sa.Column("claimed_until", _TIME, nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_alert_deliveries_alert_id", ondelete="CASCADE"),
    )
    op.create_index("ix_alert_deliveries_alert_id_created_at_id", "alert_deliveries", ["alert_id", "created_at", "id"])
    op.create_index("ix_alert_deliveries_created_at", "alert_deliveries", ["created_at"])
    for statement in (_ADD, *_FUNCTIONS, *_TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER note_refused ON journal_refusals")
    for name in ("note_finished", "note_frozen"):
        op.execute(f"DROP TRIGGER {name} ON journal_sessions")
    for name in ("note_refusal()", "note_finished_undo()", "note_frozen_session()"):
        op.execute(f"DROP FUNCTION {name}")
    op.execute("DROP FUNCTION add_alert_event(uuid, text, uuid, text, bigint)")
    for table in ("alert_deliveries", "alert_events", "alerts"):
        op.drop_table(table)
