"""A proposal that is created is an event of alerts, and each change of its state one of the live streams.

By trigger, because proposals are created, decided, replaced and expired in several places, and no page may miss one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_FUNCTIONS = (
    """
    CREATE FUNCTION note_created_proposal() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM add_alert_event(NEW.connection_id, 'proposal_created', NEW.id, NULL, 1);
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION note_proposal_state() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.xact := CAST(CAST(pg_current_xact_id() AS text) AS bigint);
        PERFORM pg_notify('basewarden', 'live:' || NEW.connection_id);
        RETURN NEW;
    END $$
    """,
)
_TRIGGERS = (
    """
    CREATE TRIGGER note_created AFTER INSERT ON proposals FOR EACH ROW
    EXECUTE FUNCTION note_created_proposal()
    """,
    """
    CREATE TRIGGER note_state BEFORE INSERT OR UPDATE OF status ON proposals FOR EACH ROW
    EXECUTE FUNCTION note_proposal_state()
    """,
)


def upgrade() -> None:
    op.add_column("proposals", sa.Column("xact", sa.BigInteger(), nullable=True))
    op.create_index("ix_proposals_xact", "proposals", ["connection_id", "xact"])
    for statement in (*_FUNCTIONS, *_TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    for name in ("note_state", "note_created"):
        op.execute(f"DROP TRIGGER {name} ON proposals")
    for name in ("note_proposal_state", "note_created_proposal"):
        op.execute(f"DROP FUNCTION {name}()")
    op.drop_index("ix_proposals_xact", "proposals")
    op.drop_column("proposals", "xact")
