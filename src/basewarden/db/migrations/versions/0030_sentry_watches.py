"""The automatic scans of a connection, and why each scan was started.

Alerts may be about warnings too, and about a quarantined object that strangers reach again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_FUNCTIONS = (
    """
    CREATE FUNCTION note_finding() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM add_alert_event(NEW.connection_id, 'finding_' || NEW.severity, NEW.id, NULL, 1);
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION note_lost_quarantine() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM add_alert_event(connection_id, 'finding_' || severity, id, NULL, 1) FROM sentry_findings
        WHERE id = NEW.finding_id AND severity IN ('critical', 'warning');
        RETURN NULL;
    END $$
    """,
)
_TRIGGERS = (
    """
    CREATE TRIGGER note_opened AFTER INSERT ON sentry_findings FOR EACH ROW
    WHEN (NEW.severity IN ('critical', 'warning')) EXECUTE FUNCTION note_finding()
    """,
    """
    CREATE TRIGGER note_worse AFTER UPDATE OF severity, status ON sentry_findings FOR EACH ROW
    WHEN (NEW.severity IN ('critical', 'warning') AND NEW.status = 'open'
        AND (OLD.status = 'resolved' OR OLD.severity NOT IN (NEW.severity, 'critical')))
    EXECUTE FUNCTION note_finding()
    """,
    """
    CREATE TRIGGER note_lost AFTER INSERT ON sentry_finding_events FOR EACH ROW
    WHEN (NEW.kind = 'quarantine_lost') EXECUTE FUNCTION note_lost_quarantine()
    """,
)
_CRITICAL_ONLY = (
    """
    CREATE TRIGGER note_opened AFTER INSERT ON sentry_findings FOR EACH ROW WHEN (NEW.severity = 'critical')
    EXECUTE FUNCTION note_critical_finding()
    """,
    """
    CREATE TRIGGER note_worse AFTER UPDATE OF severity, status ON sentry_findings FOR EACH ROW
    WHEN (NEW.severity = 'critical' AND NEW.status = 'open'
        AND (OLD.severity <> 'critical' OR OLD.status = 'resolved'))
    EXECUTE FUNCTION note_critical_finding()
    """,
)


def upgrade() -> None:
    op.create_table(
        "sentry_watches",
        sa.Column("connection_id", sa.Uuid(), primary_key=True),
        sa.Column("schedule", sa.Text(), server_default="daily", nullable=False),
        *(sa.Column(name, _TIME, nullable=True) for name in ("next_at", "change_at", "quiet_until")),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("catalog", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_sentry_watches_connection_id", ondelete="CASCADE"
        ),
    )
    op.add_column("sentry_scans", sa.Column("cause", sa.Text(), server_default="request", nullable=False))
    _drop_triggers()
    for statement in (*_FUNCTIONS, *_TRIGGERS):
        op.execute(statement)


def _drop_triggers() -> None:
    for name in ("note_opened", "note_worse"):
        op.execute(f"DROP TRIGGER {name} ON sentry_findings")


def downgrade() -> None:
    op.execute("DROP TRIGGER note_lost ON sentry_finding_events")
    _drop_triggers()
    for name in ("note_lost_quarantine()", "note_finding()"):
        op.execute(f"DROP FUNCTION {name}")
    for statement in _CRITICAL_ONLY:
        op.execute(statement)
    op.drop_column("sentry_scans", "cause")
    op.drop_table("sentry_watches")
