"""`/metrics` in Prometheus' text format.

With several workers, each process reports its own metrics under the label `process`; those of the database are the same
in all of them. `docs/monitoring.md` says how to sum over processes.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.pool import QueuePool

from basewarden import __version__
from basewarden.alerts import count_alerts
from basewarden.db import Database
from basewarden.errors import Unavailable
from basewarden.jobs import count_failed, count_waiting, find_oldest_waiting_age
from basewarden.journal import find_oldest_pending_age
from basewarden.mail import EmailState, count_emails
from basewarden.operations.coalesced_call import CoalescedCall
from basewarden.operations.health import Health
from basewarden.operations.requests import RequestCounts

KEEP_SECONDS = 1.0
TIMEOUT_SECONDS = 3.0
_log = structlog.get_logger()


@dataclass(frozen=True)
class Readings:
    """The figures of pending work, from our database."""

    journal_lag: timedelta | None
    jobs_waiting: int
    jobs_lag: timedelta | None
    jobs_failed: int
    emails_queued: int
    emails_failed: int
    alerts_failing: int
    alerts_disabled: int


class Metrics:
    """Uses an engine of its own: the figures must also show, and survive, an exhausted pool."""

    def __init__(self, database: Database, health: Health, requests: RequestCounts) -> None:
        self._database = database
        self._own = Database(database.url, pool_size=1)
        self._health = health
        self._call = CoalescedCall(self._read, keep_seconds=KEEP_SECONDS, timeout_seconds=TIMEOUT_SECONDS)
        self._registry = CollectorRegistry(auto_describe=False)
        of_process = CollectorRegistry(auto_describe=False)
        for collect in (ProcessCollector, PlatformCollector, GCCollector):
            collect(registry=of_process)
        self._registry.register(_OfProcess([_Adapter(requests), of_process, _Pool(database)]))

    async def render(self) -> bytes:
        is_up = await self._health.is_database_up()
        readings = await self._call.get() if is_up else None
        once = CollectorRegistry(auto_describe=False)
        once.register(_Once([_gauge("database_up", "Whether our database responds.", is_up), *_describe(readings)]))
        return generate_latest(self._registry) + generate_latest(once)

    async def stop(self) -> None:
        await self._call.stop()
        await self._own.close()

    async def _read(self) -> Readings | None:
        try:
            async with self._own.read_only() as session:
                failing, disabled = await count_alerts(session)
                return Readings(
                    journal_lag=await find_oldest_pending_age(session),
                    jobs_waiting=await count_waiting(session),
                    jobs_lag=await find_oldest_waiting_age(session),
                    jobs_failed=await count_failed(session),
                    emails_queued=await count_emails(session, EmailState.QUEUED),
                    emails_failed=await count_emails(session, EmailState.FAILED),
                    alerts_failing=failing,
                    alerts_disabled=disabled,
                )
        except Unavailable:
            return None


def _describe(readings: Readings | None) -> Iterator[Metric]:
    """Leaves out a figure that could not be read, because a zero would mean that all is well."""
    if readings is None:
        return
    yield _gauge("journal_lag_seconds", "Age of the oldest pending write.", _seconds(readings.journal_lag))
    yield _gauge("jobs_waiting", "Jobs that are ready to run.", readings.jobs_waiting)
    yield _gauge("jobs_lag_seconds", "How long the oldest of them has been ready to run.", _seconds(readings.jobs_lag))
    yield _gauge("jobs_failed", "Jobs that failed permanently.", readings.jobs_failed)
    yield _gauge("emails_queued", "Emails that are not out yet.", readings.emails_queued)
    yield _gauge("emails_failed", "Emails of the last 90 days that were given up.", readings.emails_failed)
    yield _gauge("alerts_failing", "Alerts whose target does not accept messages.", readings.alerts_failing)
    yield _gauge("alerts_disabled", "Alerts that are off because of that.", readings.alerts_disabled)


def _seconds(age: timedelta | None) -> float:
    return 0.0 if age is None else max(0.0, age.total_seconds())


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"basewarden_{name}", help_text, value=float(value))


class _Once(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


class _Adapter(Collector):
    def __init__(self, requests: RequestCounts) -> None:
        self._requests = requests

    def collect(self) -> Iterator[Metric]:
        yield from self._requests.collect()


class _Pool(Collector):
    """The pool of requests to our own database."""

    def __init__(self, database: Database) -> None:
        self._engine = database.engine

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("basewarden_build_info", "The running version.", labels=("version",))
        build.add_metric((__version__,), 1)
        yield build
        pool = self._engine.pool
        if isinstance(pool, QueuePool):
            yield _gauge("pool_connections_in_use", "Connections to our database in use.", pool.checkedout())
            yield _gauge("pool_connections_idle", "Idle connections to our database.", pool.checkedin())


class _OfProcess(Collector):
    """Labels every sample with the process that reports it."""

    def __init__(self, collectors: list[Collector | CollectorRegistry]) -> None:
        self._collectors = collectors
        self._process = str(os.getpid())

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            for family in collector.collect():
                family.samples = [
                    sample._replace(labels={**sample.labels, "process": self._process}) for sample in family.samples
                ]
                yield family
