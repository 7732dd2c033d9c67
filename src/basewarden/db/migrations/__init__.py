"""The migrations of our own database, and the function that applies them."""

from basewarden.db.migrations.migrate import make_alembic_config, migrate

__all__ = ["make_alembic_config", "migrate"]
