"""What a leak scan found in one text or several files. It holds no secret."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from basewarden.sentry.leaks.detecting import SecretMatch, find_secrets
from basewarden.sentry.leaks.kinds import LeakKind, PublicKind

MOST_LEAKS: Final = 200
MOST_ALLOWED: Final = 100
_LONGEST_NAME: Final = 200
_MOST_SOURCES: Final = 5_000
_HIDDEN: Final = "a file whose name has a secret in it"


@dataclass(frozen=True, slots=True)
class LeakPlace:
    """`line` and `column` count from 1. `start` is what is shown of it, `length` how long it is."""

    kind: LeakKind | PublicKind
    file: str
    line: int
    column: int
    start: str
    length: int
    note: str


@dataclass(frozen=True, slots=True)
class SkippedFile:
    name: str
    reason: str


@dataclass
class LeakReport:
    """`is_cut`: there was more to look at, or more was found, than is listed; `unfinished` says why it ended early."""

    leaks: list[LeakPlace] = field(default_factory=list)
    allowed: list[LeakPlace] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)
    more_leaks: int = 0
    characters: int = 0
    unfinished: str | None = None

    def add_text(self, name: str, text: str) -> None:
        """Looks through a file; a source map is looked through source by source."""
        name = hide_secrets(name)
        self.files.append(name)
        self.characters += len(text)
        sources = read_source_map(text)
        for source, content in sources if sources is not None else [("", text)]:
            self._add(f"{name}: {hide_secrets(source)}" if source else name, content)

    def skip(self, name: str, reason: str) -> None:
        self.skipped.append(SkippedFile(hide_secrets(name), reason))

    def _add(self, file: str, text: str) -> None:
        for found in find_secrets(text):
            if not found.is_leak:
                if len(self.allowed) < MOST_ALLOWED:
                    self.allowed.append(_place(file, text, found))
            elif len(self.leaks) < MOST_LEAKS:
                self.leaks.append(_place(file, text, found))
            else:
                self.more_leaks += 1


def _place(file: str, text: str, found: SecretMatch) -> LeakPlace:
    line = text.count("\n", 0, found.offset) + 1
    column = found.offset - text.rfind("\n", 0, found.offset)
    return LeakPlace(found.kind, file, line, column, found.start, found.length, found.note)


def hide_secrets(name: str) -> str:
    """A file's name as it may be shown."""
    return _HIDDEN if any(one.is_leak for one in find_secrets(name)) else name[:_LONGEST_NAME]


def read_source_map(text: str) -> Sequence[tuple[str, str]] | None:
    """The sources with their texts; None for what is no source map, or has none."""
    if not text.lstrip().startswith("{") or '"sourcesContent"' not in text:
        return None
    try:
        return [*_list_sources(json.loads(text))] or None
    except (ValueError, RecursionError):
        return None


def _list_sources(found: object) -> Iterator[tuple[str, str]]:
    if not isinstance(found, dict):
        return
    names, contents = found.get("sources"), found.get("sourcesContent")
    if isinstance(names, list) and isinstance(contents, list):
        for name, content in zip(names[:_MOST_SOURCES], contents, strict=False):
            if isinstance(content, str):
                yield str(name), content
    for section in found.get("sections") or () if isinstance(found.get("sections"), list) else ():
        if isinstance(section, dict):
            yield from _list_sources(section.get("map"))
