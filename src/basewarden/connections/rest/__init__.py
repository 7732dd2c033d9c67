"""A project's REST API: its address, its key, and an HTTP client for it."""

from basewarden.connections.rest.client import PoolExhausted, RestClient
from basewarden.connections.rest.connecting import connect_http, make_tls_context
from basewarden.connections.rest.gateway_errors import (
    explain_response,
    is_key_refused,
    is_not_forwarded,
    is_postgrest_error,
)
from basewarden.connections.rest.http_connection import (
    HTTPConnection,
    HTTPFailure,
    NoResponse,
    ProtocolError,
    RawHeader,
    ReadTimeout,
)
from basewarden.connections.rest.memory_limits import SMALL_BYTES, LargeBodySlot, check_elements
from basewarden.connections.rest.openapi_documents import MAX_BYTES, read_documents
from basewarden.connections.rest.probe import ProbeResponse, fetch_exposed_schemas, fetch_openapi
from basewarden.connections.rest.urls import RestAddress

__all__ = [
    "MAX_BYTES",
    "SMALL_BYTES",
    "HTTPConnection",
    "HTTPFailure",
    "LargeBodySlot",
    "NoResponse",
    "PoolExhausted",
    "ProbeResponse",
    "ProtocolError",
    "RawHeader",
    "ReadTimeout",
    "RestAddress",
    "RestClient",
    "check_elements",
    "connect_http",
    "explain_response",
    "fetch_exposed_schemas",
    "fetch_openapi",
    "is_key_refused",
    "is_not_forwarded",
    "is_postgrest_error",
    "make_tls_context",
    "read_documents",
]
