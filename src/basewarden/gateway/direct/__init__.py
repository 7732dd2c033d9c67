"""The direct backend: a project whose database is reached by its Postgres connection string.

This face is for the undo on a database.
"""

from basewarden.gateway.direct.backend import commit_recorded
from basewarden.gateway.direct.deferred import FINISH, add_deferred_check, is_nothing_deferred
from basewarden.gateway.direct.row_images import ALIAS as ROW_ALIAS
from basewarden.gateway.direct.row_images import AS_OWNER, WITH_SESSION_PATH, read_images, run_as_owner, select_images
from basewarden.gateway.direct.stat_counters import (
    COUNT_CHANGES,
    OWN_NAMES,
    ChangeCount,
    ChangeCounts,
    list_uncaptured,
    read_counts,
    subtract_counts,
    written_here_sql,
)

__all__ = [
    "AS_OWNER",
    "COUNT_CHANGES",
    "FINISH",
    "OWN_NAMES",
    "ROW_ALIAS",
    "WITH_SESSION_PATH",
    "ChangeCount",
    "ChangeCounts",
    "add_deferred_check",
    "commit_recorded",
    "is_nothing_deferred",
    "list_uncaptured",
    "read_counts",
    "read_images",
    "run_as_owner",
    "select_images",
    "subtract_counts",
    "written_here_sql",
]
