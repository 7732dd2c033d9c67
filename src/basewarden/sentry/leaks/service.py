"""Looks for leaks in a text or a site at a person's request, so often an hour, and keeps nothing of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import structlog

from basewarden.accounts import Attempt, Attempts, Limit
from basewarden.db import note_waiting
from basewarden.errors import Invalid, TooMany
from basewarden.sentry.leaks.fetching import SiteFetchError
from basewarden.sentry.leaks.reports import LeakReport
from basewarden.sentry.leaks.site import SITE_SECONDS, SiteScan
from basewarden.sentry.leaks.site_urls import parse_site_url

MAX_TEXT: Final = 2_000_000
"""Characters."""
HOURLY_TEXTS: Final = Limit(60, 60 * 60)
HOURLY_SITES: Final = Limit(20, 60 * 60)
"""Of a connection's members together."""
_MOST_AT_ONCE: Final = 2
"""In a process: to look through megabytes takes its processor."""
_ADVICE = "The members of this connection have looked for leaks many times. Wait some minutes and try again."
_BUSY = "Other sites and texts are being looked through. Try again in a minute."
_PASTED = "the text"
_log = structlog.get_logger()


class LeakScans:
    def __init__(self, attempts: Attempts, *, allow_private: bool) -> None:
        self._attempts = attempts
        self._allow_private = allow_private
        self._running = 0

    async def scan_text(self, connection_id: UUID, text: str) -> LeakReport:
        """Raises Invalid and TooMany."""
        if not text.strip():
            raise Invalid.field("text", "Paste the text that is to be looked through.")
        if len(text) > MAX_TEXT:
            raise Invalid.field("text", f"At most {MAX_TEXT:,} characters. Paste a part of it.")
        report = LeakReport()
        async with self._take_turn("leaks.text", connection_id, HOURLY_TEXTS):
            await asyncio.to_thread(report.add_text, _PASTED, text)
        self._log_end("text", connection_id, report)
        return report

    async def scan_site(self, connection_id: UUID, address: str) -> LeakReport:
        """Raises Invalid, also for a site that cannot be read, and TooMany."""
        try:
            url = parse_site_url(address)
        except ValueError as error:
            raise Invalid.field("url", str(error)) from None
        scan = SiteScan(allow_private=self._allow_private)
        async with self._take_turn("leaks.site", connection_id, HOURLY_SITES):
            note_waiting("a site")
            try:
                await scan.run(url)
            except SiteFetchError as error:
                raise Invalid.field("url", str(error)) from None
        self._log_end("site", connection_id, scan.report)
        return scan.report

    @asynccontextmanager
    async def _take_turn(self, scope: str, connection_id: UUID, limit: Limit) -> AsyncIterator[None]:
        """None waits: behind a few slow sites that would take minutes."""
        if self._running >= _MOST_AT_ONCE:
            raise TooMany.retry_after(SITE_SECONDS, _BUSY)
        self._running += 1
        try:
            await self._attempts.acquire(Attempt(scope, str(connection_id), limit, _ADVICE))
            yield
        finally:
            self._running -= 1

    def _log_end(self, source: str, connection_id: UUID, report: LeakReport) -> None:
        """Numbers only: neither what was looked through nor what was found."""
        _log.info(
            "sentry.leaks_looked_for",
            connection=str(connection_id),
            source=source,
            files=len(report.files),
            leaks=len(report.leaks) + report.more_leaks,
        )
