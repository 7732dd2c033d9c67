"""The data API: identifies the caller, checks policy, runs the request on the project, and records every write.

What undo needs of one backend is in the faces of `gateway/direct/` and `gateway/api/`.
"""

from basewarden.gateway.asgi import DataAPI
from basewarden.gateway.backends import Backends
from basewarden.gateway.caller import Caller, Callers, make_member_caller
from basewarden.gateway.description import DATA_ERRORS, describe_data
from basewarden.gateway.errors import (
    NeedsPostgres,
    OutcomeUnknown,
    PartlyWritten,
    SchemaNotExposed,
    UpstreamUnavailable,
    WriteConflict,
)
from basewarden.gateway.projects import AnyProject, Projects
from basewarden.gateway.proposing import read_stored_request, read_write_pins
from basewarden.gateway.recording.schema_retry import SnapshotStale
from basewarden.gateway.rest import RestCall, RestResult
from basewarden.gateway.row_labels import NameSource, choose_label, choose_names
from basewarden.gateway.sharing import CHANGE, SCAN, UNDO

__all__ = [
    "CHANGE",
    "DATA_ERRORS",
    "SCAN",
    "UNDO",
    "AnyProject",
    "Backends",
    "Caller",
    "Callers",
    "DataAPI",
    "NameSource",
    "NeedsPostgres",
    "OutcomeUnknown",
    "PartlyWritten",
    "Projects",
    "RestCall",
    "RestResult",
    "SchemaNotExposed",
    "SnapshotStale",
    "UpstreamUnavailable",
    "WriteConflict",
    "choose_label",
    "choose_names",
    "describe_data",
    "make_member_caller",
    "read_stored_request",
    "read_write_pins",
]
