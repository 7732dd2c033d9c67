"""The data road: who calls, may they, what would it do, do it, record it."""

from basewarden.gateway.asgi import DataRoad
from basewarden.gateway.caller import Caller, Callers, make_member_caller
from basewarden.gateway.limits import RateLimits
from basewarden.gateway.projects import Project, Projects
from basewarden.gateway.road import RestAnswer, RestCall, Road

__all__ = [
    "Caller",
    "Callers",
    "DataRoad",
    "Project",
    "Projects",
    "RateLimits",
    "RestAnswer",
    "RestCall",
    "Road",
    "make_member_caller",
]
