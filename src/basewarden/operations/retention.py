"""Retention: every feature's pruners, one after the other, once a day or when a scheduler asks."""

from collections import Counter
from collections.abc import Sequence

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from basewarden.db import Database, Pruner, only_one
from basewarden.errors import AppError
from basewarden.jobs import Jobs

RETENTION = "operations.retention"
DAILY = "17 3 * * *"
BATCH = 1000
_LOCK = 0x7265_7461_696E
_log = structlog.get_logger()


class Retention:
    """Safe to interrupt and to repeat.

    Only one process prunes at a time; a second one finds the lock taken and does nothing.
    """

    def __init__(self, database: Database, jobs: Jobs, pruners: Sequence[Pruner], *, batch: int = BATCH) -> None:
        self._database = database
        self._pruners = tuple(pruners)
        self._batch = batch
        jobs.register_periodic(RETENTION, DAILY, self._run_job)

    async def run(self) -> dict[str, int]:
        """The deleted rows by table: every table that is pruned, including those without any."""
        async with only_one(self._database, _LOCK) as is_alone:
            if not is_alone:
                _log.info("retention.runs_already")
                return dict.fromkeys((pruner.table for pruner in self._pruners), 0)
            return await self._prune_all()

    async def _prune_all(self) -> dict[str, int]:
        """A pruner that fails does not prevent the others; its error is raised after them."""
        counts: Counter[str] = Counter({pruner.table: 0 for pruner in self._pruners})
        failures: list[Exception] = []
        for pruner in self._pruners:
            try:
                counts[pruner.table] += await pruner.prune(self._database, pruner.keep, self._batch)
            except (SQLAlchemyError, psycopg.Error, AppError) as error:
                _log.warning("retention.failed", table=pruner.table, reason=type(error).__name__)
                failures.append(error)
        _log.info("retention.done", **{table: rows for table, rows in counts.items() if rows})
        if failures:
            raise failures[0]
        return dict(counts)

    async def _run_job(self) -> None:
        await self.run()
