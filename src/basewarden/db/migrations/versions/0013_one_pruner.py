"""The queue's own daily pruning is gone; retention does it. A run that still waits would wait for ever."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM procrastinate_jobs WHERE task_name = 'jobs.tidy' AND status = 'todo'")


def downgrade() -> None:
    """The job defers itself."""
