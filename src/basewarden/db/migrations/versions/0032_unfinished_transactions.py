"""Which transactions had not ended when a schema was last read: only these and later ones have changed it since."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("schema_heads", sa.Column("unfinished", ARRAY(sa.BigInteger()), server_default="{}", nullable=False))


def downgrade() -> None:
    op.drop_column("schema_heads", "unfinished")
