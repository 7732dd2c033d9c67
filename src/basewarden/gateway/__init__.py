"""The data road: who calls, may they, what would it do, do it, record it."""

from basewarden.gateway.api.backend import ApiBackend
from basewarden.gateway.api.project import ApiProject
from basewarden.gateway.asgi import DataAPI
from basewarden.gateway.backends import Backends
from basewarden.gateway.caller import Caller, Callers, make_member_caller
from basewarden.gateway.direct.backend import DirectBackend
from basewarden.gateway.errors import SchemaNotExposed, UpstreamUnavailable
from basewarden.gateway.limits import RateLimits
from basewarden.gateway.projects import AnyProject, Project, Projects
from basewarden.gateway.rest import RestCall, RestResult
from basewarden.gateway.sharing import UNDO, PoolSharing

__all__ = [
    "UNDO",
    "AnyProject",
    "ApiBackend",
    "ApiProject",
    "Backends",
    "Caller",
    "Callers",
    "DataAPI",
    "DirectBackend",
    "PoolSharing",
    "Project",
    "Projects",
    "RateLimits",
    "RestCall",
    "RestResult",
    "SchemaNotExposed",
    "UpstreamUnavailable",
    "make_member_caller",
]
