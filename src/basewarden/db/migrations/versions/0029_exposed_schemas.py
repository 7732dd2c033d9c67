"""The schemas that a project's API exposes, where its owner names them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connections", sa.Column("schemas", ARRAY(sa.Text()), nullable=True))


def downgrade() -> None:
    op.drop_column("connections", "schemas")
