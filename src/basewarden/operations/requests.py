"""Counts the requests of this process on the hot path: a dictionary, two additions and a search in a short list.

The Prometheus library's own counters take a lock each, and look up their labels every time. All of this happens on one
event loop, so plain numbers are enough.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from fastapi.routing import iter_route_contexts
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from starlette.routing import BaseRoute

from basewarden.operations.health import LIVE_PATH

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
UNMATCHED = "unmatched"
STATIC = "/static/"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_DATA = "/api/v/"
_ROOMS = {"rest": "/api/v/{connection_id}/rest/v1", "introspect": "/api/v/{connection_id}/introspect"}
_BOUNDS = [*map(str, BUCKETS), "+Inf"]

Key = tuple[str, str, int]


class RequestCounts:
    """A collector for the Prometheus library, fed by the edge."""

    def __init__(self) -> None:
        self._series: dict[Key, list[float]] = {}
        self._templates: dict[int, str] = {}

    def learn_routes(self, routes: Sequence[BaseRoute]) -> None:
        """A route that was included under a prefix does not know its whole path; the application does."""
        for context in iter_route_contexts(routes):
            self._templates[id(context.original_route)] = context.path or UNMATCHED

    def observe(self, scope: Any, status: int, seconds: float) -> None:
        """`status` 0: the caller disconnected before the response began."""
        method = scope["method"]
        key = (self._find_template(scope), method if method in _METHODS else "other", status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = [0.0] * (len(_BOUNDS) + 1)
        series[bisect_left(BUCKETS, seconds)] += 1
        series[-1] += seconds

    def collect(self) -> Iterator[Metric]:
        counts = CounterMetricFamily(
            "basewarden_requests", "Requests by route, method and status.", labels=("route", "method", "status")
        )
        for (route, method, status), series in self._series.items():
            counts.add_metric((route, method, str(status)), sum(series[:-1]))
        yield counts
        durations = HistogramMetricFamily("basewarden_request_seconds", "How long requests took.", labels=("route",))
        for route, series in self._sum_by_route().items():
            pairs = list(zip(_BOUNDS, accumulate(series[:-1]), strict=True))
            durations.add_metric((route,), pairs, series[-1])
        yield durations

    def _sum_by_route(self) -> dict[str, list[float]]:
        sums: dict[str, list[float]] = {}
        for (route, _, _), series in self._series.items():
            known = sums.get(route)
            sums[route] = [*series] if known is None else [a + b for a, b in zip(known, series, strict=True)]
        return sums

    def _find_template(self, scope: Any) -> str:
        """Returns the route's template, not the requested path: made-up paths must not become series."""
        route = scope.get("route")
        if route is not None:
            return self._templates.get(id(route), UNMATCHED)
        path: str = scope["path"]
        if path == LIVE_PATH:  # answered before the router
            return LIVE_PATH
        if not path.startswith(_DATA):
            return STATIC if path.startswith(STATIC) else UNMATCHED
        parts = path.split("/", 5)
        return _ROOMS.get(parts[4], UNMATCHED) if len(parts) > 4 else UNMATCHED
