"""The migrations and the models say the same."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect
from sqlalchemy.pool import NullPool

import basewarden
from basewarden.core.secret import Secret
from basewarden.db import Base, sqlalchemy_url
from basewarden.db.migrations.migrate import make_alembic_config, migrate

SOURCE = Path(basewarden.__file__).parent
for models in SOURCE.glob("*/models.py"):
    import_module(f"basewarden.{models.parent.name}.models")


def _is_ours(name: str | None, kind: str, _: object) -> bool:
    return not (kind == "table" and name is not None and name.startswith(("journal_mutations_", "procrastinate_")))


def _differs_in_default(*arguments: Any) -> bool | None:
    """None = as Alembic finds; it reads the default of a column that owns its sequence as no default."""
    rendered = arguments[-1]
    return False if rendered is not None and "nextval(" in rendered else None


@pytest.fixture
def engine(app_database: str) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(Secret(app_database)), poolclass=NullPool)
    yield engine
    engine.dispose()


def test_models_and_migrations_agree(engine: Engine) -> None:
    options = {"compare_type": True, "compare_server_default": _differs_in_default, "include_name": _is_ours}
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_every_migration_goes_down_and_up_again(app_database: str, engine: Engine) -> None:
    command.downgrade(make_alembic_config(Secret(app_database)), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    migrate(Secret(app_database))
    assert "connections" in inspect(engine).get_table_names()
