"""The data road: who calls, may they, what would it do, do it, record it."""

from basewarden.gateway.asgi import DataRoad
from basewarden.gateway.caller import Caller, Callers, make_member_caller
from basewarden.gateway.errors import SchemaUntold, UpstreamAway
from basewarden.gateway.forward.project import ForwardProject
from basewarden.gateway.forward.road import ForwardRoad
from basewarden.gateway.lending import UNDO, Lending
from basewarden.gateway.limits import RateLimits
from basewarden.gateway.projects import AnyProject, Project, Projects
from basewarden.gateway.road import DirectBackend, RestAnswer, RestCall
from basewarden.gateway.roads import Roads

__all__ = [
    "UNDO",
    "AnyProject",
    "Caller",
    "Callers",
    "DataRoad",
    "DirectBackend",
    "ForwardProject",
    "ForwardRoad",
    "Lending",
    "Project",
    "Projects",
    "RateLimits",
    "RestAnswer",
    "RestCall",
    "Roads",
    "SchemaUntold",
    "UpstreamAway",
    "make_member_caller",
]
