"""The API backend: a project that is reached through its own REST API. This face is for the undo over an API."""

from basewarden.gateway.api.access import ApiAccess, FindApiAccess
from basewarden.gateway.api.journaled_request import JournaledRequest, UpstreamRefused, read_error
from basewarden.gateway.api.row_images import (
    Selection,
    UnreadableAnswer,
    read_apart,
    select_for_reading,
    select_for_writing,
)
from basewarden.gateway.api.tables import QUERY_ROOM, ApiTables, QueryPair, make_path, split_rows
from basewarden.gateway.api.upstream import UpstreamResponse

__all__ = [
    "QUERY_ROOM",
    "ApiAccess",
    "ApiTables",
    "FindApiAccess",
    "JournaledRequest",
    "QueryPair",
    "Selection",
    "UnreadableAnswer",
    "UpstreamRefused",
    "UpstreamResponse",
    "make_path",
    "read_apart",
    "read_error",
    "select_for_reading",
    "select_for_writing",
    "split_rows",
]
