"""Our own database: engine, units of work, notifications, migrations. Holds no SQL of a feature."""

from basewarden.db.base import Base
from basewarden.db.engine import (
    Database,
    ReadSession,
    WriteSession,
    check_database,
    driver_dsn,
    sqlalchemy_url,
)
from basewarden.db.notify import Listener, notify

__all__ = [
    "Base",
    "Database",
    "Listener",
    "ReadSession",
    "WriteSession",
    "check_database",
    "driver_dsn",
    "notify",
    "sqlalchemy_url",
]
