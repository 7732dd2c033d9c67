"""Judges a policy's expression on its parse tree: whom it lets in, by a truth table. Pure.

Each comparison whose outcome depends on the row is true in one line of the table and false in another; what depends on
the caller follows from who they are. What it cannot follow (a function of the project) makes the answer UNKNOWN.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, partial
from itertools import product
from typing import Final

import postgast
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it brings no types

from basewarden.sentry.policies.nodes import Node
from basewarden.sentry.policies.truth import PolicyCaller, RowEvaluation, ShapeNotes, UndecidedError
from basewarden.sentry.policies.values import Truth

_LONGEST: Final = 50_000
_MOST_LINES: Final = 512
_MOST_UNKNOWN: Final = 6


class PolicyAccess(StrEnum):
    NO_ROWS = "no_rows"
    SOME_ROWS = "some_rows"
    ALL_ROWS = "all_rows"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PolicyShape:
    """`compared` are columns of the row that are compared with who the caller is.

    `repeated` are columns that a subquery compares with themselves, where the row's was meant.
    `is_slow`: a function that says who the caller is runs for each row.
    """

    access: Mapping[PolicyCaller, PolicyAccess]
    compared: frozenset[str] = frozenset()
    repeated: frozenset[str] = frozenset()
    reads_user_metadata: bool = False
    asks_who: bool = False
    is_slow: bool = False

    @property
    def is_always_true(self) -> bool:
        return (
            self.access[PolicyCaller.SIGNED_OUT] is PolicyAccess.ALL_ROWS
            and self.access[PolicyCaller.STRANGER] is PolicyAccess.ALL_ROWS
        )

    @property
    def lets_all_signed_in(self) -> bool:
        """And not those who are not."""
        return (
            self.access[PolicyCaller.STRANGER] is PolicyAccess.ALL_ROWS
            and self.access[PolicyCaller.SIGNED_OUT] is not PolicyAccess.ALL_ROWS
        )

    @property
    def lets_none_in(self) -> bool:
        return all(access is PolicyAccess.NO_ROWS for access in self.access.values())


UNKNOWN_SHAPE = PolicyShape(dict.fromkeys(PolicyCaller, PolicyAccess.UNKNOWN), asks_who=True)


@lru_cache(maxsize=8_192)
def assess_expression(text: str, not_null: frozenset[str] = frozenset(), *, shows_users: bool = False) -> PolicyShape:
    """`text` is what pg_get_expr says, read under `search_path = pg_catalog`; `not_null` are columns of the table.

    With `shows_users` the rows of auth.users are what is read, and not only looked up.
    """
    if len(text) > _LONGEST:
        return UNKNOWN_SHAPE
    try:
        tree = postgast.parse(f"SELECT ({text})")
        (statement,) = tree.stmts
        (target,) = statement.stmt.select_stmt.target_list
        return _assess(target.res_target.val, not_null, shows_users=shows_users)
    except (postgast.PgQueryError, DecodeError, ValueError, RecursionError):
        return UNKNOWN_SHAPE


def assess_view(definition: str) -> PolicyShape:
    """Whom a view shows rows to, by what pg_get_viewdef says."""
    return assess_expression(f"EXISTS ({definition.rstrip().removesuffix(';')})", shows_users=True)


def _assess(node: Node, not_null: frozenset[str], *, shows_users: bool) -> PolicyShape:
    notes = ShapeNotes()

    def list_outcomes(caller: PolicyCaller, given: dict[str, bool], unknown: set[str]) -> Iterator[Truth]:
        def test(line: dict[str, bool]) -> Truth:
            return RowEvaluation(caller, not_null, line, notes, shows_users).test(node)

        return _list_outcomes(test, given, unknown)

    return PolicyShape(
        {caller: _find_access(partial(list_outcomes, caller)) for caller in PolicyCaller},
        frozenset(notes.compared),
        frozenset(notes.repeated),
        notes.reads_user_metadata,
        notes.asks_who,
        notes.is_slow,
    )


def _find_access(list_outcomes: Callable[[dict[str, bool], set[str]], Iterator[Truth]]) -> PolicyAccess:
    """The same whatever is not known, or UNKNOWN."""
    unknown: set[str] = set()
    outcomes = list(list_outcomes({}, unknown))
    if not unknown:
        return _sum_up(outcomes)
    if len(unknown) > _MOST_UNKNOWN:
        return PolicyAccess.UNKNOWN
    names = sorted(unknown)
    answers = {
        _sum_up(list_outcomes(dict(zip(names, guess, strict=True)), set()))
        for guess in product((True, False), repeat=len(names))
    }
    return answers.pop() if len(answers) == 1 else PolicyAccess.UNKNOWN


def _sum_up(outcomes: Iterable[Truth]) -> PolicyAccess:
    found = {outcome is True for outcome in outcomes}
    if found == {True}:
        return PolicyAccess.ALL_ROWS
    return PolicyAccess.SOME_ROWS if True in found else PolicyAccess.NO_ROWS


def _list_outcomes(
    test: Callable[[dict[str, bool]], Truth], given: dict[str, bool], unknown: set[str]
) -> Iterator[Truth]:
    """Line by line; adds to `unknown` what no line can say."""
    waiting, lines = [given], 0
    while waiting:
        lines += 1
        if lines > _MOST_LINES:
            raise ValueError("too many lines")
        line = waiting.pop()
        try:
            yield test(line)
        except UndecidedError as undecided:
            if undecided.is_unknown:
                unknown.add(undecided.name)
            waiting += [{**line, undecided.name: True}, {**line, undecided.name: False}]
