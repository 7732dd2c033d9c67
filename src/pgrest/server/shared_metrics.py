"""Metrics of every worker, in memory that they share: each writes its own row, the one that is asked adds them up."""

import mmap
from enum import IntEnum, auto


class Metric(IntEnum):
    """Counters first, then gauges."""

    POOL_TIMEOUTS = 0
    SCHEMA_LOADS = auto()
    SCHEMA_FAILURES = auto()
    JWT_LOOKUPS = auto()
    JWT_HITS = auto()
    JWT_EVICTIONS = auto()
    POOL_AVAILABLE = auto()
    POOL_WAITING = auto()
    POOL_MAX = auto()
    SCHEMA_SECONDS = auto()
    IS_LOADED = auto()
    IS_CONNECTED = auto()


_WIDTH = len(Metric)
_BYTES = 8


class SharedMetrics:
    """Made before the workers are, so that they inherit it."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._cells = memoryview(mmap.mmap(-1, workers * _WIDTH * _BYTES)).cast("d")

    def row(self, worker: int = 0) -> "Row":
        return Row(self._cells[worker * _WIDTH : (worker + 1) * _WIDTH])

    def list_all(self, figure: Metric) -> list[float]:
        return [self._cells[worker * _WIDTH + figure] for worker in range(self._workers)]

    def total(self, figure: Metric) -> float:
        return sum(self.list_all(figure))


class Row:
    __slots__ = ("_cells",)

    def __init__(self, cells: "memoryview[float]") -> None:
        self._cells = cells

    def add(self, figure: Metric, number: float = 1) -> None:
        self._cells[figure] += number

    def put(self, figure: Metric, number: float) -> None:
        self._cells[figure] = number

    def get(self, figure: Metric) -> float:
        return float(self._cells[figure])
