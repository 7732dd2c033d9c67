"""Alembic's entry: one connection, one advisory lock, short lock waits."""

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from basewarden.db.base import Base

_LOCK = 0x6261_7365  # any constant: two migrating processes take turns
config = context.config


_NO_MODELS = ("journal_mutations_", "procrastinate_")
"""Monthly partitions of the journal are made by the program, the queue's tables by its library."""


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return not (kind == "table" and name is not None and name.startswith(_NO_MODELS))


def _take_lock(connection: Connection) -> None:
    """Asks again and again: a statement that waits has a snapshot, for whose end an index that is built would wait."""
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
        connection.execute(text("SELECT pg_sleep(0.2)"))
        connection.rollback()


def run() -> None:
    engine = create_engine(config.attributes["url"], poolclass=NullPool)
    with engine.connect() as connection:
        _take_lock(connection)
        connection.execute(text("SET lock_timeout = '4s'"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            include_name=_is_ours,
            compare_type=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
