"""Schema versions as pages show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from basewarden.core.brief import make_brief
from basewarden.sentry.models import SchemaVersion, VersionCause
from basewarden.sentry.words import list_names
from basewarden.web import count_things

_WORDS: Final = {
    VersionCause.FIRST: "When Basewarden first read it",
    VersionCause.OUTSIDE: "Outside Basewarden",
    VersionCause.UNKNOWN: "Outside Basewarden, or by a function called through it",
}
_HOW: Final = {
    VersionCause.SESSION: "in a session",
    VersionCause.FIX: "by a fix of the sentry",
    VersionCause.QUARANTINE: "by a quarantine",
}


@dataclass(frozen=True, slots=True)
class ShownVersion:
    """`by` is who did it, `how` by what means. `counts` has a word and a number of each kind of change there is."""

    number: int
    at: datetime
    by: str
    how: str
    session_id: UUID | None
    finding_id: UUID | None
    counts: Sequence[tuple[str, int]]
    summary: Sequence[str]
    more: int


def show_version(version: SchemaVersion, viewer_id: UUID) -> ShownVersion:
    cause = VersionCause(version.cause)
    counts = [("added", version.added), ("changed", version.changed), ("removed", version.removed)]
    total = sum(number for _, number in counts)
    return ShownVersion(
        number=version.number,
        at=version.at,
        by=_name_author(version, cause, viewer_id),
        how=_HOW.get(cause, ""),
        session_id=version.session_id,
        finding_id=version.finding_id,
        counts=[(word, number) for word, number in counts if number],
        summary=version.summary,
        more=max(0, total - len(version.summary)),
    )


def describe_version(version: SchemaVersion) -> str:
    """What changed and by whom, for messages, which leave the deployment."""
    total = version.added + version.changed + version.removed
    more = [f"{total - len(version.briefs)} more"] if 0 < len(version.briefs) < total else []
    what = list_names([*version.briefs, *more]) or f"{count_things(total, 'change')} of the schema"
    cause = VersionCause(version.cause)
    who = _WORDS.get(cause) or f"By {_name_member(version)}, {_HOW[cause]}"
    return f"{what[:1].upper()}{what[1:]}. {who}."


def _name_member(version: SchemaVersion) -> str:
    name = make_brief(version.actor_name or "a member")
    return f"{name} and others" if version.is_shared else name


def _name_author(version: SchemaVersion, cause: VersionCause, viewer_id: UUID) -> str:
    if cause in _WORDS:
        return _WORDS[cause]
    name = "You" if version.user_id == viewer_id else version.actor_name or "A member"
    return f"{name} and others" if version.is_shared else name
