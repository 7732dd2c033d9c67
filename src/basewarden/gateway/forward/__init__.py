"""The forward backend: a project of which only its own REST API is known."""

from basewarden.gateway.forward.reach import FindReach, Reach, reach_nothing
from basewarden.gateway.forward.upstream import Header, Upstream, UpstreamAnswer, UpstreamRequest
from basewarden.gateway.forward.writes import travel_write

__all__ = [
    "FindReach",
    "Header",
    "Reach",
    "Upstream",
    "UpstreamAnswer",
    "UpstreamRequest",
    "reach_nothing",
    "travel_write",
]
