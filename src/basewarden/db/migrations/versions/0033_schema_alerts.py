"""A change of a schema is an event of alerts. Versions keep what a message may say of it: no value, and plain names.

By trigger, so that each version is reported once. The first version is no change.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_FUNCTION = """
    CREATE FUNCTION note_schema_version() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM add_alert_event(NEW.connection_id, 'schema_changed', NEW.id, NULL, 1);
        RETURN NULL;
    END $$
"""
_TRIGGER = """
    CREATE TRIGGER note_version AFTER INSERT ON schema_versions FOR EACH ROW WHEN (NEW.cause <> 'first')
    EXECUTE FUNCTION note_schema_version()
"""


def upgrade() -> None:
    op.add_column("schema_versions", sa.Column("briefs", JSONB(), server_default="[]", nullable=False))
    op.execute(_FUNCTION)
    op.execute(_TRIGGER)


def downgrade() -> None:
    op.execute("DROP TRIGGER note_version ON schema_versions")
    op.execute("DROP FUNCTION note_schema_version()")
    op.drop_column("schema_versions", "briefs")
