"""Looks through a site as a stranger sees it: a page, the scripts that it loads from the same site, and their maps."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from basewarden.sentry.leaks.fetching import FetchedFile, SiteFetchError, fetch_file
from basewarden.sentry.leaks.references import References, find_map, list_page_scripts, list_script_parts
from basewarden.sentry.leaks.reports import LeakReport
from basewarden.sentry.leaks.site_urls import SiteURL, is_same_site

SITE_SECONDS: Final = 25.0
MOST_FILES: Final = 60
MOST_BYTES: Final = 16_000_000
MOST_REDIRECTS: Final = 5
_AT_ONCE: Final = 4
_MOST_WAITING: Final = 500
_OUT_OF_TIME = f"{SITE_SECONDS:.0f} seconds were over, so the rest was not looked at."
_TOO_MUCH = f"Only the first {MOST_FILES} files, or {MOST_BYTES // 1_000_000} MB, were looked at."


class FileKind(Enum):
    PAGE = "page"
    SCRIPT = "script"
    PART = "part"
    """A script that another one names, perhaps only as a text."""
    MAP = "map"
    """Of which it is not known whether there is one."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    url: SiteURL
    kind: FileKind


class SiteScan:
    """`report` grows while it runs, so that what was found is shown also where it ends early."""

    def __init__(self, *, allow_private: bool) -> None:
        self.report = LeakReport()
        self._allow_private = allow_private
        self._scripts: deque[_Wanted] = deque()
        self._others: deque[_Wanted] = deque()
        self._seen: set[str] = set()
        self._host = ""
        self._fetched = 0
        self._bytes = 0

    async def run(self, url: SiteURL) -> None:
        """Raises SiteFetchError where not even the page can be read."""
        try:
            async with asyncio.timeout(SITE_SECONDS):
                await self._run(url)
        except TimeoutError:
            if not self.report.files:
                raise SiteFetchError("The site did not answer in time.") from None
            self.report.unfinished = _OUT_OF_TIME

    async def _run(self, url: SiteURL) -> None:
        page = await self._follow(url)
        if page.status != 200:
            raise SiteFetchError(f"The site answered {page.status}.")
        self._host = page.url.address.host
        self._seen.add(page.url.name)
        await self._look_through(page, FileKind.PAGE if page.is_page else FileKind.SCRIPT)
        while self._scripts or self._others:
            if self._fetched >= MOST_FILES or self._bytes >= MOST_BYTES:
                self.report.unfinished = _TOO_MUCH
                return
            waiting = self._scripts or self._others
            batch = [waiting.popleft() for _ in range(min(_AT_ONCE, len(waiting)))]
            for wanted, file in zip(batch, await asyncio.gather(*map(self._try, batch)), strict=True):
                if file is not None:
                    await self._look_through(file, wanted.kind)

    async def _follow(self, url: SiteURL) -> FetchedFile:
        """Each address that a redirect leads to is resolved and checked like the first."""
        for _ in range(MOST_REDIRECTS + 1):
            self._fetched += 1
            file = await fetch_file(url, allow_private=self._allow_private)
            if file.location is None:
                return file
            target = url.resolve(file.location)
            if target is None or (self._host and not is_same_site(self._host, target.address.host)):
                raise SiteFetchError("It redirects to an address that is not asked.")
            url = target
        raise SiteFetchError("It redirects too often.")

    async def _try(self, wanted: _Wanted) -> FetchedFile | None:
        is_named = wanted.kind is FileKind.SCRIPT
        try:
            file = await self._follow(wanted.url)
        except SiteFetchError as error:
            if is_named:
                self.report.skip(wanted.url.name, str(error))
            return None
        if file.status == 200 and not file.is_page:
            return file
        if is_named:
            reason = f"The site answered {file.status}." if file.status != 200 else "It is a page and no script."
            self.report.skip(wanted.url.name, reason)
        return None

    async def _look_through(self, file: FetchedFile, kind: FileKind) -> None:
        self._bytes += file.size
        if kind is FileKind.MAP and not file.text.lstrip(")]}'\n ").startswith("{"):
            return
        await asyncio.to_thread(self.report.add_text, file.url.name, file.text)
        if file.is_cut:
            self.report.skip(file.url.name, "Only its first 4 MB were looked at.")
        if kind is FileKind.PAGE:
            await self._want_each(list_page_scripts, file, FileKind.SCRIPT)
        elif kind is not FileKind.MAP:
            beside = find_map(file.url, file.text)
            if beside is not None:
                self._want(beside, FileKind.MAP)
            await self._want_each(list_script_parts, file, FileKind.PART)

    async def _want_each(
        self, list_references: Callable[[SiteURL, str], References], file: FetchedFile, kind: FileKind
    ) -> None:
        found = await asyncio.to_thread(list_references, file.url, file.text)
        for url in found.urls:
            self._want(url, kind)
        if found.is_cut:
            self.report.unfinished = _TOO_MUCH

    def _want(self, url: SiteURL, kind: FileKind) -> None:
        if url.name in self._seen:
            return
        if len(self._seen) > _MOST_WAITING:
            self.report.unfinished = _TOO_MUCH
            return
        self._seen.add(url.name)
        if not is_same_site(self._host, url.address.host):
            if kind is FileKind.SCRIPT:
                self.report.skip(url.name, "It is of another site.")
            return
        (self._scripts if kind is FileKind.SCRIPT else self._others).append(_Wanted(url, kind))
