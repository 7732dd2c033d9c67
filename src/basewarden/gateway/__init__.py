"""The data API: identifies the caller, checks policy, runs the request on the project, and records every write."""

from basewarden.gateway.api.access import ApiAccess, FindApiAccess
from basewarden.gateway.api.backend import ApiBackend
from basewarden.gateway.api.journaled_request import JournaledRequest, UpstreamRefused, read_error
from basewarden.gateway.api.project import ApiProject
from basewarden.gateway.api.row_images import UnreadableAnswer, read_apart, select_for_reading, select_for_writing
from basewarden.gateway.api.tables import QUERY_ROOM, ApiTables, QueryPair, make_path, split_rows
from basewarden.gateway.api.upstream import UpstreamResponse
from basewarden.gateway.asgi import DataAPI
from basewarden.gateway.backends import Backends
from basewarden.gateway.caller import Caller, Callers, make_member_caller
from basewarden.gateway.description import DATA_ERRORS, describe_data
from basewarden.gateway.direct.backend import DirectBackend, commit_recorded
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
from basewarden.gateway.errors import OutcomeUnknown, SchemaNotExposed, UpstreamUnavailable
from basewarden.gateway.limits import RateLimits
from basewarden.gateway.projects import AnyProject, Project, Projects
from basewarden.gateway.recording.schema_retry import SnapshotStale
from basewarden.gateway.rest import RestCall, RestResult
from basewarden.gateway.row_labels import NameSource, choose_label, choose_name
from basewarden.gateway.sharing import UNDO, PoolSharing

__all__ = [
    "AS_OWNER",
    "COUNT_CHANGES",
    "DATA_ERRORS",
    "FINISH",
    "OWN_NAMES",
    "QUERY_ROOM",
    "ROW_ALIAS",
    "UNDO",
    "WITH_SESSION_PATH",
    "AnyProject",
    "ApiAccess",
    "ApiBackend",
    "ApiProject",
    "ApiTables",
    "Backends",
    "Caller",
    "Callers",
    "ChangeCount",
    "ChangeCounts",
    "DataAPI",
    "DirectBackend",
    "FindApiAccess",
    "JournaledRequest",
    "NameSource",
    "OutcomeUnknown",
    "PoolSharing",
    "Project",
    "Projects",
    "QueryPair",
    "RateLimits",
    "RestCall",
    "RestResult",
    "SchemaNotExposed",
    "SnapshotStale",
    "UnreadableAnswer",
    "UpstreamRefused",
    "UpstreamResponse",
    "UpstreamUnavailable",
    "add_deferred_check",
    "choose_label",
    "choose_name",
    "commit_recorded",
    "describe_data",
    "is_nothing_deferred",
    "list_uncaptured",
    "make_member_caller",
    "make_path",
    "read_apart",
    "read_counts",
    "read_error",
    "read_images",
    "run_as_owner",
    "select_for_reading",
    "select_for_writing",
    "select_images",
    "split_rows",
    "subtract_counts",
    "written_here_sql",
]
