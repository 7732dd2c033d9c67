"""What probes saw, in words: who tried, what happened, and what that proves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from basewarden.sentry.scans.probing import MOST_ROWS, ProbeCaller, ProbeOutcome
from basewarden.sentry.words import list_names
from basewarden.web import count_things

_EMPTY: Final = "It has no row yet, so there was nothing to read."
_CALLERS: Final = {
    ProbeCaller.ANON: ("A stranger", "with the public key, not signed in"),
    ProbeCaller.USER_A: ("Anyone who signs up", "a made-up user, who owns no row"),
    ProbeCaller.USER_B: ("Another user", "a second made-up user, who owns no row"),
}


@dataclass(frozen=True, slots=True)
class ShownProbe:
    """`note` says who that is; `rows` is "" where none were counted."""

    who: str
    note: str
    what: str
    reason: str
    rows: str
    columns: Sequence[str]
    has_read: bool


def show_probes(evidence: Mapping[str, Any]) -> tuple[ShownProbe, ...]:
    return tuple(show_probe(one) for one in evidence["probes"])


def describe_proof(evidence: Mapping[str, Any]) -> str:
    """Returns a sentence: the worst that a probe saw, or why nothing is proved; "" where the catalog alone shows it."""
    probes = evidence["probes"]
    tried = [one for one in probes if one["outcome"] != ProbeOutcome.NOT_RUN]
    if not tried:
        return f"Not tried: {probes[0]['reason']}" if probes else ""
    for one in tried:
        if one["outcome"] == ProbeOutcome.ROWS:
            columns = f", with {list_names(one['columns'])}" if one["columns"] else ""
            return f"{_name(one)} read {count_read(one['rows'])}{columns}{_describe_inversion(one, tried)}."
    if evidence["isEmpty"]:
        return _EMPTY
    return f"{'; '.join(_join_same(tried))}."


def _describe_inversion(reader: Mapping[str, Any], tried: Sequence[Mapping[str, Any]]) -> str:
    others = {one["outcome"] for one in tried if one is not reader}
    is_upside_down = reader["as"] == ProbeCaller.ANON and others == {ProbeOutcome.NONE}
    return ", and people who sign in read none" if is_upside_down else ""


def describe_emptiness(evidence: Mapping[str, Any]) -> str:
    return _EMPTY if evidence["isEmpty"] else ""


def count_read(rows: int) -> str:
    """Probes stop counting at MOST_ROWS."""
    return f"{MOST_ROWS:,} rows or more" if rows >= MOST_ROWS else count_things(rows, "row")


def _count_in_column(rows: int | None) -> str:
    """The head of the column says that they are rows."""
    if rows is None:
        return ""
    return f"{MOST_ROWS:,} or more" if rows >= MOST_ROWS else f"{rows:,}"


def _join_same(probes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Callers that saw the same share a clause."""
    by_words: dict[str, list[str]] = {}
    for one in probes:
        by_words.setdefault(_describe_outcome(one), []).append(_name(one))
    clauses = [f"{list_names([names[0], *map(_lower, names[1:])])} {words}" for words, names in by_words.items()]
    return [clauses[0], *map(_lower, clauses[1:])]


def show_probe(probe: Mapping[str, Any]) -> ShownProbe:
    who, note = _CALLERS[ProbeCaller(probe["as"])]
    has_read = probe["outcome"] == ProbeOutcome.ROWS
    return ShownProbe(
        who=who,
        note=note,
        what="read rows" if has_read else _describe_outcome(probe),
        reason=probe["reason"] or "",
        rows=_count_in_column(probe["rows"]),
        columns=probe["columns"],
        has_read=has_read,
    )


def _describe_outcome(probe: Mapping[str, Any]) -> str:
    return {
        ProbeOutcome.NONE: "got no row",
        ProbeOutcome.DENIED: "got “permission denied”",
        ProbeOutcome.ERROR: "got an error",
        ProbeOutcome.NOT_RUN: "could not be tried",
    }[ProbeOutcome(probe["outcome"])]


def _name(probe: Mapping[str, Any]) -> str:
    return name_caller(ProbeCaller(probe["as"]))


def name_caller(caller: ProbeCaller) -> str:
    """To begin a sentence with."""
    return _CALLERS[caller][0]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
