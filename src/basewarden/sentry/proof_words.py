"""What probes saw, in words: who tried, what happened, and what that proves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from basewarden.sentry.rule import ProbeAttempt
from basewarden.sentry.scans.probing import MOST_ROWS, ProbeCaller, ProbeOutcome
from basewarden.sentry.words import list_names
from basewarden.web import count_things

_EMPTY: Final = "It has no row yet, so there was nothing to read."
_BROUGHT: Final = "Where a made-up user's row was needed, the probe brought one; all of it was rolled back."
_CALLERS: Final = {
    ProbeCaller.ANON: ("A stranger", "with the public key, not signed in"),
    ProbeCaller.USER_A: ("Anyone who signs up", "a made-up user, whose row it is not"),
    ProbeCaller.USER_B: ("The row's owner", "another made-up user, who tries the same with their own row"),
}
_TRIED: Final = {
    ProbeAttempt.SELECT: "Read others' rows",
    ProbeAttempt.INSERT: "Add a row for another",
    ProbeAttempt.UPDATE: "Change another's row",
    ProbeAttempt.DELETE: "Delete another's row",
    ProbeAttempt.HAND_OVER: "Give an own row to another",
}
_DID: Final = {
    ProbeAttempt.SELECT: "read rows",
    ProbeAttempt.INSERT: "added it",
    ProbeAttempt.UPDATE: "changed it",
    ProbeAttempt.DELETE: "deleted it",
    ProbeAttempt.HAND_OVER: "gave it away",
}
_COULD: Final = {
    ProbeAttempt.INSERT: "added a row for another user",
    ProbeAttempt.UPDATE: "changed another user's row",
    ProbeAttempt.DELETE: "deleted another user's row",
    ProbeAttempt.HAND_OVER: "gave an own row to another user",
}
_WORST: Final = (ProbeAttempt.DELETE, ProbeAttempt.UPDATE, ProbeAttempt.HAND_OVER, ProbeAttempt.INSERT)


@dataclass(frozen=True, slots=True)
class ShownProbe:
    """`note` says who that is; `rows` and `count` are "" where none were.

    `is_open`: someone reached what is not theirs.
    """

    who: str
    note: str
    what: str
    reason: str
    rows: str
    count: str
    columns: Sequence[str]
    is_open: bool


@dataclass(frozen=True, slots=True)
class ShownAttempt:
    """What was tried, and what each caller of the table's head got; None did not try it.

    `reason` is the same for all of them.
    """

    what: str
    reason: str
    cells: Sequence[ShownProbe | None]


@dataclass(frozen=True, slots=True)
class ShownTries:
    """`callers` are names and who that is."""

    callers: Sequence[tuple[str, str]] = ()
    attempts: Sequence[ShownAttempt] = ()


def show_tries(evidence: Mapping[str, Any]) -> ShownTries:
    probes = evidence["probes"]
    callers = [one for one in ProbeCaller if any(probe["as"] == one for probe in probes)]
    attempts = [one for one in ProbeAttempt if any(read_attempt(probe) is one for probe in probes)]
    return ShownTries([_CALLERS[one] for one in callers], [_show_attempt(one, probes, callers) for one in attempts])


def _show_attempt(
    attempt: ProbeAttempt, probes: Sequence[Mapping[str, Any]], callers: Sequence[ProbeCaller]
) -> ShownAttempt:
    found = {ProbeCaller(one["as"]): show_probe(one) for one in probes if read_attempt(one) is attempt}
    reasons = {one.reason for one in found.values()}
    cells = [found.get(caller) for caller in callers]
    return ShownAttempt(_TRIED[attempt], reasons.pop() if len(reasons) == 1 else "", cells)


def describe_proof(evidence: Mapping[str, Any]) -> str:
    """Returns a sentence: the worst that a probe did, or why nothing is proved; "" where the catalog alone shows it."""
    probes = [one for one in evidence["probes"] if one["as"] != ProbeCaller.USER_B]
    return _describe_writes(probes) or _describe_reads(probes, is_empty=bool(evidence["isEmpty"]))


def _describe_writes(probes: Sequence[Mapping[str, Any]]) -> str:
    done = [one for one in probes if one["outcome"] == ProbeOutcome.ROWS and read_attempt(one) in _COULD]
    for caller in (ProbeCaller.ANON, ProbeCaller.USER_A):
        by_attempt = {read_attempt(one) for one in done if one["as"] == caller}
        if by_attempt:
            words = list_names(_COULD[one] for one in _WORST if one in by_attempt)
            return f"{name_caller(caller)} {words} (rolled back)."
    return ""


def _describe_reads(probes: Sequence[Mapping[str, Any]], *, is_empty: bool) -> str:
    reads = [one for one in probes if read_attempt(one) is ProbeAttempt.SELECT]
    found = reads or probes
    tried = [one for one in found if one["outcome"] != ProbeOutcome.NOT_RUN]
    if not tried:
        return f"Not tried: {found[0]['reason']}" if found else ""
    for one in tried:
        if one["outcome"] == ProbeOutcome.ROWS:
            columns = f", with {list_names(one['columns'])}" if one["columns"] else ""
            return f"{_name(one)} read {count_read(one['rows'])}{columns}{_describe_inversion(one, tried)}."
    if is_empty and reads and not any(one.get("brought") for one in reads):
        return _EMPTY
    return f"{'; '.join(_join_same(tried))}."


def _describe_inversion(reader: Mapping[str, Any], tried: Sequence[Mapping[str, Any]]) -> str:
    others = {one["outcome"] for one in tried if one is not reader}
    is_upside_down = reader["as"] == ProbeCaller.ANON and others == {ProbeOutcome.NONE}
    return ", and people who sign in read none" if is_upside_down else ""


def describe_emptiness(evidence: Mapping[str, Any]) -> str:
    if any(one.get("brought") for one in evidence["probes"]):
        return _BROUGHT
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
        names = by_words.setdefault(_describe_outcome(one), [])
        if _name(one) not in names:
            names.append(_name(one))
    clauses = [f"{list_names([names[0], *map(_lower, names[1:])])} {words}" for words, names in by_words.items()]
    return [clauses[0], *map(_lower, clauses[1:])]


def show_probe(probe: Mapping[str, Any]) -> ShownProbe:
    caller, attempt = ProbeCaller(probe["as"]), read_attempt(probe)
    who, note = _CALLERS[caller]
    has_reached = probe["outcome"] == ProbeOutcome.ROWS
    return ShownProbe(
        who=who,
        note=note,
        what=_DID[attempt] if has_reached else _describe_outcome(probe),
        reason=probe["reason"] or "",
        rows=_count_in_column(probe["rows"]),
        count=count_read(probe["rows"]) if has_reached and attempt is ProbeAttempt.SELECT else "",
        columns=probe["columns"],
        is_open=has_reached and caller is not ProbeCaller.USER_B,
    )


def read_attempt(probe: Mapping[str, Any]) -> ProbeAttempt:
    """Findings of older versions were only read."""
    return ProbeAttempt(probe.get("attempt") or probe["verb"])


def _describe_outcome(probe: Mapping[str, Any]) -> str:
    return {
        ProbeOutcome.NONE: "got no row" if read_attempt(probe) is ProbeAttempt.SELECT else "reached no row",
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
