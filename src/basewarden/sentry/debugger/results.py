"""What a trial found out: what happened, and what each policy says of the rows that were tried. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from basewarden.sentry.debugger.facts import DebuggedPolicy
from basewarden.sentry.debugger.requests import TrialCommand, TrialRequest

_NOT_ALLOWED = "42501"


class TrialOutcome(StrEnum):
    ALLOWED = "allowed"
    DENIED_PRIVILEGE = "denied_privilege"
    DENIED_POLICY = "denied_policy"
    EMPTY = "empty"
    ERROR = "error"
    NOT_RUN = "not_run"


class AskedPart(StrEnum):
    """Which rows an expression is evaluated for, and why."""

    USING = "USING"
    READ = "USING, to read"
    CHECK = "WITH CHECK"
    CHANGED = "USING, to read it afterwards"


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """What one expression of a policy says of the rows: true for `passed` of `of`. None is not known, for `problem`."""

    policy: DebuggedPolicy
    part: AskedPart
    passed: int | None
    of: int
    problem: str = ""

    @property
    def refuses(self) -> bool:
        return self.passed is not None and self.passed < self.of


@dataclass
class TrialResult:
    """`rows` were reached of the `of` that were tried; `total` is what members see of the table, up to a limit."""

    request: TrialRequest
    rows: int | None = None
    of: int | None = None
    total: int | None = None
    missing: Sequence[str] = ()
    sqlstate: str = ""
    message: str = ""
    answers: list[PolicyAnswer] = field(default_factory=list)

    @property
    def outcome(self) -> TrialOutcome:
        if self.missing and self.rows is None:
            return TrialOutcome.DENIED_PRIVILEGE
        if self.sqlstate:
            return self._classify_error()
        if self.rows is None:
            return TrialOutcome.NOT_RUN
        if self.rows:
            return TrialOutcome.ALLOWED
        if self.request.command is TrialCommand.INSERT:
            return TrialOutcome.ERROR  # a trigger or a rule took the row away
        has_rows = self.of or self.total
        return TrialOutcome.DENIED_POLICY if has_rows and not self.request.role.passes else TrialOutcome.EMPTY

    def _classify_error(self) -> TrialOutcome:
        """The same code says both; the text of the server may be in any language."""
        if self.sqlstate != _NOT_ALLOWED:
            return TrialOutcome.ERROR
        is_said = "row-level security" in self.message
        is_policy = not self.request.role.passes and (is_said or any(map(self.is_refused, self._list_checks())))
        return TrialOutcome.DENIED_POLICY if is_policy else TrialOutcome.DENIED_PRIVILEGE

    def _list_checks(self) -> Sequence[AskedPart]:
        """Those that fail with an error; the others just hide rows."""
        if self.request.command is TrialCommand.INSERT:
            return (AskedPart.CHECK,)
        if self.request.command is not TrialCommand.UPDATE:
            return ()
        return (AskedPart.CHECK, AskedPart.CHANGED) if self.request.reads_too else (AskedPart.CHECK,)

    def list_answers(self, part: AskedPart) -> Sequence[PolicyAnswer]:
        return [one for one in self.answers if one.part is part]

    def is_refused(self, part: AskedPart) -> bool:
        """Whether some row is refused: by all permissive policies, or by one restrictive policy."""
        answers = self.list_answers(part)
        permissive = [one for one in answers if one.policy.is_permissive]
        restrictive = [one for one in answers if not one.policy.is_permissive]
        return all(one.refuses for one in permissive) or any(one.refuses for one in restrictive)
