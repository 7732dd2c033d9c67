"""The transactions that stored outcomes, states and refusals, from which streams of live events continue.

The indexes are built while writes go on, outside a transaction. One whose building was interrupted is built again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_COLUMNS = (("journal_writes", "settled_xact"), ("journal_sessions", "state_xact"), ("journal_refusals", "xact"))
_INDEXES = (
    ("ix_journal_writes_settled", "journal_writes", ["connection_id", "settled_xact"], "settled_xact IS NOT NULL"),
    ("ix_journal_sessions_state", "journal_sessions", ["connection_id", "state_xact"], "state_xact IS NOT NULL"),
)
# By trigger, because a session's state is changed in many places, and no page may miss one.
_FUNCTION = """
    CREATE FUNCTION note_session_state() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.state_xact := CAST(CAST(pg_current_xact_id() AS text) AS bigint);
        PERFORM pg_notify('basewarden', 'live:' || NEW.connection_id);
        RETURN NEW;
    END $$
"""
_TRIGGER = """
    CREATE TRIGGER note_state BEFORE UPDATE OF status, frozen_at, undo_state ON journal_sessions FOR EACH ROW
    WHEN (NEW.status <> 'expired' AND (OLD.status, OLD.frozen_at, OLD.undo_state)
          IS DISTINCT FROM (NEW.status, NEW.frozen_at, NEW.undo_state))
    EXECUTE FUNCTION note_session_state()
"""


def upgrade() -> None:
    for table, column in _COLUMNS:
        op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=True), if_not_exists=True)
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # building waits for running transactions, and blocks none
        for name, table, columns, where in _INDEXES:
            op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
            op.create_index(name, table, columns, postgresql_where=sa.text(where), postgresql_concurrently=True)
        op.execute("SET lock_timeout = '4s'")
    op.execute(_FUNCTION)
    op.execute(_TRIGGER)


def downgrade() -> None:
    op.execute("DROP TRIGGER note_state ON journal_sessions")
    op.execute("DROP FUNCTION note_session_state()")
    for name, table, _, _ in reversed(_INDEXES):
        op.drop_index(name, table)
    for table, column in reversed(_COLUMNS):
        op.drop_column(table, column)
