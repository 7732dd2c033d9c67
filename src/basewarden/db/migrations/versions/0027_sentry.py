"""The sentry's scans, findings and their history. A critical finding that opens is an event of alerts.

By trigger, because findings open in several ways, and each is to be reported once.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_NOW = sa.func.now()
_FUNCTION = """
    CREATE FUNCTION note_critical_finding() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM add_alert_event(NEW.connection_id, 'finding_critical', NEW.id, NULL, 1);
        RETURN NULL;
    END $$
"""
_TRIGGERS = (
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
        "sentry_scans",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default="running", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("asked", ARRAY(sa.Text()), nullable=True),
        sa.Column("schemas", ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("schemas_from", sa.Text(), nullable=True),
        sa.Column("rules", JSONB(), server_default="[]", nullable=False),
        sa.Column("opened", sa.Integer(), server_default="0", nullable=False),
        sa.Column("closed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        _follow("connections", "sentry_scans", "connection_id"),
    )
    op.create_index("ix_sentry_scans_connection", "sentry_scans", ["connection_id", "id"])
    running = sa.text("status = 'running'")
    op.create_index("ix_sentry_scans_running", "sentry_scans", ["connection_id"], unique=True, postgresql_where=running)
    op.create_table(
        "sentry_findings",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("fingerprint", "rule", "severity", "title")),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("object", JSONB(), nullable=False),
        sa.Column("evidence", JSONB(), nullable=False),
        sa.Column("request", sa.Text(), nullable=True),
        sa.Column("fix", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("acknowledged_until", sa.DateTime(timezone=True), nullable=True),
        sa.UniqueConstraint("connection_id", "fingerprint", name="uq_sentry_findings_fingerprint"),
        _follow("connections", "sentry_findings", "connection_id"),
    )
    columns = ["connection_id", "status", "severity", "id"]
    op.create_index("ix_sentry_findings_list", "sentry_findings", columns)
    op.create_table(
        "sentry_finding_events",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("finding_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("scan_id", sa.Uuid(), nullable=True),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_name", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        _follow("sentry_findings", "sentry_finding_events", "finding_id"),
    )
    op.create_index("ix_sentry_finding_events_finding", "sentry_finding_events", ["finding_id", "id"])
    acted = sa.text("actor_id IS NOT NULL")
    op.create_index("ix_sentry_finding_events_actor", "sentry_finding_events", ["actor_id"], postgresql_where=acted)
    for statement in (_FUNCTION, *_TRIGGERS):
        op.execute(statement)


def _follow(parent: str, table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=f"fk_{table}_{column}", ondelete="CASCADE")


def downgrade() -> None:
    for name in ("sentry_finding_events", "sentry_findings", "sentry_scans"):
        op.drop_table(name)
    op.execute("DROP FUNCTION note_critical_finding()")
