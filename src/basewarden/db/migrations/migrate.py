"""Applies the migrations of our own database. Safe when several processes start at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from basewarden.core.secret import Secret
from basewarden.db.engine import sqlalchemy_url

_MIGRATIONS = Path(__file__).parent


def make_alembic_config(database_url: Secret) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["url"] = sqlalchemy_url(database_url)
    return config


def migrate(database_url: Secret, revision: str = "head") -> None:
    """Blocks: call it before the event loop runs, or in a thread."""
    command.upgrade(make_alembic_config(database_url), revision)
