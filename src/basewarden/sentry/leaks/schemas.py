"""What the routes of the leak scan take and answer."""

from typing import Annotated, Literal

from pydantic import Field

from basewarden.sentry.leaks.kinds import LEAKS, PUBLIC, LeakKind, PublicKind
from basewarden.sentry.leaks.reports import LeakPlace, LeakReport, SkippedFile
from basewarden.sentry.leaks.service import MAX_TEXT
from basewarden.sentry.leaks.site_urls import MAX_URL_LENGTH
from basewarden.web import RequestBody, ResponseBody


class LeakTextBody(RequestBody):
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)] = Field(examples=["const url = 'https://…'"])


class LeakSiteBody(RequestBody):
    url: Annotated[str, Field(min_length=1, max_length=MAX_URL_LENGTH)] = Field(examples=["https://app.example.com"])


class LeakOut(ResponseBody):
    """Where it is, and as much of it as is shown."""

    kind: LeakKind
    title: str = Field(examples=["Supabase secret key"])
    danger: str = Field(description="What a stranger could do with it.")
    advice: str = Field(description="What to do now.")
    file: str = Field(examples=["https://app.example.com/assets/index.js"])
    line: int
    column: int
    start: str = Field(description="Its first 6 characters.", examples=["sb_sec"])
    length: int
    note: str = Field(examples=["role service_role"])


class AllowedOut(ResponseBody):
    """What may be public, or only looks like a secret."""

    kind: PublicKind
    title: str
    reason: str
    file: str
    line: int
    column: int


class SkippedFileOut(ResponseBody):
    name: str
    reason: str


class LeakReportOut(ResponseBody):
    status: Literal["clean", "leaks"]
    leaks: list[LeakOut]
    more_leaks: int = Field(description="Found, and not listed.")
    allowed: list[AllowedOut]
    files: list[str] = Field(description="What was looked through.")
    skipped: list[SkippedFileOut]
    unfinished: str | None = Field(description="Why it ended before everything was looked at.")


def report_body(report: LeakReport) -> LeakReportOut:
    return LeakReportOut(
        status="leaks" if report.leaks else "clean",
        leaks=[_leak_body(one) for one in report.leaks],
        more_leaks=report.more_leaks,
        allowed=[_allowed_body(one) for one in report.allowed],
        files=report.files,
        skipped=[_skipped_body(one) for one in report.skipped],
        unfinished=report.unfinished,
    )


def _leak_body(place: LeakPlace) -> LeakOut:
    words = LEAKS[LeakKind(place.kind)]
    return LeakOut(
        kind=LeakKind(place.kind),
        title=words.name,
        danger=words.danger,
        advice=words.now,
        file=place.file,
        line=place.line,
        column=place.column,
        start=place.start,
        length=place.length,
        note=place.note,
    )


def _allowed_body(place: LeakPlace) -> AllowedOut:
    title, reason = PUBLIC[PublicKind(place.kind)]
    return AllowedOut(
        kind=PublicKind(place.kind),
        title=title,
        reason=reason,
        file=place.file,
        line=place.line,
        column=place.column,
    )


def _skipped_body(file: SkippedFile) -> SkippedFileOut:
    return SkippedFileOut(name=file.name, reason=file.reason)
