"""Our own database: engine, units of work, notifications, pruning. Contains no SQL of a feature."""

from basewarden.db.base import Base
from basewarden.db.engine import (
    Database,
    ReadSession,
    WriteSession,
    check_database,
    driver_dsn,
    sqlalchemy_url,
)
from basewarden.db.holding import note_waiting
from basewarden.db.notify import Listener, make_notification, notify
from basewarden.db.pruning import (
    LOCK_TIMEOUT,
    Pruner,
    bound_lock_waits,
    connect_alone,
    delete_some,
    in_batches,
    only_one,
    pause_after_work,
)
from basewarden.db.streaming import stream_by_id

__all__ = [
    "LOCK_TIMEOUT",
    "Base",
    "Database",
    "Listener",
    "Pruner",
    "ReadSession",
    "WriteSession",
    "bound_lock_waits",
    "check_database",
    "connect_alone",
    "delete_some",
    "driver_dsn",
    "in_batches",
    "make_notification",
    "note_waiting",
    "notify",
    "only_one",
    "pause_after_work",
    "sqlalchemy_url",
    "stream_by_id",
]
