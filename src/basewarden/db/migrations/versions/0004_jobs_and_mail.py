"""The queue of jobs, by procrastinate's own schema, and letters. See decision 9 for how that schema is upgraded."""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_DROP_LIBRARY = """
DO $$
DECLARE
    drop_one text;
BEGIN
    FOR drop_one IN
        SELECT format('DROP TABLE IF EXISTS %I CASCADE', relname) FROM pg_class
        WHERE relkind = 'r' AND relname LIKE 'procrastinate\\_%' AND relnamespace = current_schema()::regnamespace
    LOOP EXECUTE drop_one; END LOOP;
    FOR drop_one IN
        SELECT format('DROP FUNCTION %s', oid::regprocedure) FROM pg_proc
        WHERE proname LIKE 'procrastinate\\_%' AND pronamespace = current_schema()::regnamespace
    LOOP EXECUTE drop_one; END LOOP;
    FOR drop_one IN
        SELECT format('DROP TYPE %I', typname) FROM pg_type
        WHERE typname LIKE 'procrastinate\\_%' AND typnamespace = current_schema()::regnamespace
        AND typtype IN ('e', 'c')
    LOOP EXECUTE drop_one; END LOOP;
END
$$
"""


def upgrade() -> None:
    _run_as_it_is(SchemaManager.get_schema())
    op.create_table(
        "letters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("sealed_content", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("good_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_letters"),
    )
    op.create_index("ix_letters_user_id_kind_created_at", "letters", ["user_id", "kind", "created_at"])
    op.create_index("ix_letters_state_created_at", "letters", ["state", "created_at"])


def downgrade() -> None:
    op.drop_table("letters")
    _run_as_it_is(_DROP_LIBRARY)


def _run_as_it_is(script: str) -> None:
    """Several statements at once, in which % and : mean nothing to us."""
    op.get_bind().exec_driver_sql(script, execution_options={"no_parameters": True})
