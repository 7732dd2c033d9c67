"""PostgREST's figures in Prometheus' text format."""

from pgrest.server.shared_metrics import Metric, SharedMetrics

_METRICS = (
    ("pgrst_db_pool_timeouts_total", "counter", "Requests that no connection came free for", Metric.POOL_TIMEOUTS),
    ("pgrst_db_pool_available", "gauge", "Idle connections in the pool", Metric.POOL_AVAILABLE),
    ("pgrst_db_pool_waiting", "gauge", "Requests that wait for a connection", Metric.POOL_WAITING),
    ("pgrst_db_pool_max", "gauge", "The most connections of the pool", Metric.POOL_MAX),
    ("pgrst_jwt_cache_requests_total", "counter", "Tokens looked up among those already checked", Metric.JWT_LOOKUPS),
    ("pgrst_jwt_cache_hits_total", "counter", "Tokens found there", Metric.JWT_HITS),
    ("pgrst_jwt_cache_evictions_total", "counter", "Tokens that made room for others", Metric.JWT_EVICTIONS),
)


def write_metrics(board: SharedMetrics) -> str:
    lines: list[str] = []
    for name, kind, meaning, figure in _METRICS:
        lines += [*_head(name, kind, meaning), f"{name} {_spell(board.total(figure))}"]
    loads = "pgrst_schema_cache_loads_total"
    lines += [
        *_head(loads, "counter", "How often the schema cache was loaded"),
        f'{loads}{{status="SUCCESS"}} {_spell(board.total(Metric.SCHEMA_LOADS))}',
        f'{loads}{{status="FAIL"}} {_spell(board.total(Metric.SCHEMA_FAILURES))}',
    ]
    seconds = "pgrst_schema_cache_query_time_seconds"
    lines += [
        *_head(seconds, "gauge", "How long the last load of the schema cache took"),
        f"{seconds} {_spell(max(board.list_all(Metric.SCHEMA_SECONDS)))}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _head(name: str, kind: str, meaning: str) -> list[str]:
    return [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]


def _spell(number: float) -> str:
    return repr(float(number))
