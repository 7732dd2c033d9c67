"""What a trial means, in words: what happened, which policy decided, and what was not found out. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from basewarden.sentry.debugger.requests import TrialCommand
from basewarden.sentry.debugger.results import AskedPart, PolicyAnswer, TrialOutcome, TrialResult
from basewarden.sentry.debugger.statements import MOST_COUNTED
from basewarden.sentry.debugger.transactions import LOCK_SECONDS, TRIAL_SECONDS
from basewarden.sentry.words import list_names
from basewarden.web import count_things

_DONE: Final = {
    TrialCommand.SELECT: "reads",
    TrialCommand.UPDATE: "changes",
    TrialCommand.DELETE: "deletes",
}
_ERRORS: Final = {
    "57014": f"It took longer than {TRIAL_SECONDS:.0f} seconds and was ended.",
    "55P03": f"A row or the table was locked by others for more than {LOCK_SECONDS:.0f} second. Try again.",
    "25006": "The database accepts reads only.",
    "42P17": "A policy asks the table that it belongs to, without an end (infinite recursion).",
    "23505": "Another row has the same key.",
    "23503": "A row of another table is needed, or still refers to it.",
    "23502": "A column that must have a value has none.",
    "23514": "A check constraint of the table refuses it.",
    "22P02": "A value does not have the form of its column's type.",
    "428C9": "A column that is always generated cannot be set.",
}
_PARTS: Final = {
    AskedPart.USING: "Which rows the command finds",
    AskedPart.READ: "Which rows may be read, to choose them",
    AskedPart.CHECK: "Whether the row may be as it would be",
    AskedPart.CHANGED: "Whether the changed row could still be read",
}


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """What one policy says; `tone` is "ok", "danger" or "plain"."""

    name: str
    kind: str
    part: str
    said: str
    tone: str


@dataclass(frozen=True, slots=True)
class TrialVerdict:
    """`sentence` says what happened, `reasons` which policy or right decided, `error` is the database's own text."""

    outcome: TrialOutcome
    sentence: str
    reasons: Sequence[str]
    policies: Sequence[PolicyVerdict]
    error: str = ""

    @property
    def is_allowed(self) -> bool:
        return self.outcome is TrialOutcome.ALLOWED

    @property
    def is_denied(self) -> bool:
        return self.outcome in (TrialOutcome.DENIED_PRIVILEGE, TrialOutcome.DENIED_POLICY)


def describe_result(result: TrialResult) -> TrialVerdict:
    shows_error = bool(result.sqlstate) and result.outcome is TrialOutcome.ERROR
    return TrialVerdict(
        result.outcome,
        _describe_outcome(result),
        tuple(_list_reasons(result)),
        [_describe_answer(one) for one in result.answers],
        f"{result.message} ({result.sqlstate})".strip() if shows_error else "",
    )


def _describe_outcome(result: TrialResult) -> str:
    role, command = result.request.role.name, result.request.command
    match result.outcome:
        case TrialOutcome.ALLOWED if command is TrialCommand.INSERT:
            return f"Allowed: {role} adds this row."
        case TrialOutcome.ALLOWED:
            return f"Allowed: {role} {_DONE[command]} {_count_rows(result)}."
        case TrialOutcome.DENIED_PRIVILEGE:
            return f"Denied: {role} lacks a privilege."
        case TrialOutcome.DENIED_POLICY if command is TrialCommand.SELECT:
            return f"Denied by row level security: {role} is shown {_count_rows(result)}."
        case TrialOutcome.DENIED_POLICY:
            return f"Denied by row level security: {role} may not {command.value} {_name_tried(result)}."
        case TrialOutcome.EMPTY:
            return "Nothing is proved: the table has no row that could be tried."
        case TrialOutcome.ERROR:
            return f"Not allowed and not denied: {_explain_error(result)}"
        case TrialOutcome.NOT_RUN:
            return "Not tried: without the right to read, no few rows can be chosen, and all of them are too many."


def _count_rows(result: TrialResult) -> str:
    if result.request.command is not TrialCommand.SELECT:
        return f"{result.rows or 0} of the {count_things(result.of or 0, 'row')} that were tried"
    total = result.total
    of = "" if total is None else f" of {total:,}{' or more' if total >= MOST_COUNTED else ''}"
    return f"{result.rows or 0:,}{of} rows" if total is None or total != 1 else f"{result.rows or 0} of 1 row"


def _name_tried(result: TrialResult) -> str:
    if result.request.command is TrialCommand.INSERT:
        return "this row"
    return (
        f"any of the {count_things(result.of or 0, 'row')} that were tried" if not result.sqlstate else "rows like this"
    )


def _explain_error(result: TrialResult) -> str:
    if not result.sqlstate:
        return "no row was added, and no error came. A trigger or a rule of the table may take the row away."
    return _ERRORS.get(result.sqlstate, "the database refused with an error of its own.")


def _list_reasons(result: TrialResult) -> Iterator[str]:
    request = result.request
    for right in result.missing:
        yield f"It has not the right {right}."
    if result.outcome is TrialOutcome.DENIED_PRIVILEGE and not result.missing:
        yield "A policy, a trigger or a default calls or reads something that this role may not."
        yield f"The database said: {result.message}."
    if request.role.passes:
        yield _describe_pass(result)
        return
    if result.total is not None and not request.table.base_passes:
        yield "The connection's own role is asked by policies too, so there may be more rows than were counted."
    for part in AskedPart:
        answers = result.list_answers(part)
        if answers or _is_asked(result, part):
            yield from _explain_part(result, part, answers)


def _describe_pass(result: TrialResult) -> str:
    table, role = result.request.table, result.request.role
    if not table.has_rls:
        return f"Row level security of {table.name} is off: no policy is asked."
    if role.bypasses:
        return f"{role.name} has BYPASSRLS: no policy is asked."
    return f"{role.name} owns {table.name} or is a member of its owner: no policy is asked."


def _is_asked(result: TrialResult, part: AskedPart) -> bool:
    """Also where no policy applies, which refuses everything."""
    command = result.request.command
    if part is AskedPart.USING:
        return command is not TrialCommand.INSERT
    return part is AskedPart.CHECK and command is TrialCommand.INSERT


def _explain_part(result: TrialResult, part: AskedPart, answers: Sequence[PolicyAnswer]) -> Iterator[str]:
    permissive = [one for one in answers if one.policy.is_permissive]
    if not permissive:
        role, command = result.request.role.name, result.request.command.value.upper()
        yield f"No policy for {command} lets {role} in, and what no policy lets in is refused."
        return
    if not any(one.of for one in answers):
        return
    passing = [one for one in permissive if one.passed]
    if passing:
        verb = "lets" if len(passing) == 1 else "let"
        yield f"{_PARTS[part]}: {_name(passing)} {verb} {_describe_counts(passing)} in."
    elif all(one.passed == 0 for one in permissive):
        yield f"{_PARTS[part]}: {_name(permissive)} {'is' if len(permissive) == 1 else 'are'} true for none."
    refusing = [one for one in answers if not one.policy.is_permissive and one.refuses]
    if refusing:
        yield f"{_name(refusing)}, which must agree as well, {'refuses' if len(refusing) == 1 else 'refuse'} some."
    if any(one.passed is None for one in answers):
        yield "What a policy says could not be found out for itself; what happened was tried all the same."


def _describe_counts(answers: Sequence[PolicyAnswer]) -> str:
    return list_names(f"{one.passed} of {one.of}" for one in answers)


def _name(answers: Sequence[PolicyAnswer]) -> str:
    return list_names(f"“{one.policy.name}”" for one in answers)


def _describe_answer(answer: PolicyAnswer) -> PolicyVerdict:
    kind = "permissive" if answer.policy.is_permissive else "restrictive"
    if answer.passed is None:
        return PolicyVerdict(answer.policy.name, kind, answer.part, f"not known: {answer.problem}", "plain")
    if not answer.of:
        return PolicyVerdict(answer.policy.name, kind, answer.part, "no row to ask it for", "plain")
    said = f"true for {answer.passed} of {count_things(answer.of, 'row')}"
    return PolicyVerdict(answer.policy.name, kind, answer.part, said, "ok" if answer.passed else "danger")
