"""Whether an agent may do more after a change than before it, which needs a fresh sign-in. Pure; in doubt, it may."""

from collections.abc import Collection
from typing import Any

from basewarden.connections.agents import AgentCaller
from basewarden.connections.models import Access, ColumnRule

_LIMITS = (
    "max_rows_per_write",
    "max_writes_per_session",
    "max_rows_per_session",
    "max_rows_per_hour",
    "max_read_rows_per_hour",
    "requests_per_minute",
    "expires_at",
)
_RANKS = {None: 0, Access.READ: 1, Access.PROPOSE: 2, Access.WRITE: 3}


def is_wider(before: AgentCaller, after: AgentCaller) -> bool:
    """More access, a table, function or column more, another role or claims, a higher or removed limit or expiry."""
    return (
        _reaches_more(before, after)
        or _calls_more(before, after)
        or _shows_more(before, after)
        or (before.db_role, before.claims) != (after.db_role, after.claims)
        or any(_is_higher(getattr(before, name), getattr(after, name)) for name in _LIMITS)
    )


def _reaches_more(before: AgentCaller, after: AgentCaller) -> bool:
    """A table has at most the agent's own access; without a list, exactly that."""
    if _RANKS[after.access] > _RANKS[before.access]:
        return True
    if before.tables is None:
        return False
    if after.tables is None:
        return True
    return any(_RANKS[one] > _RANKS[before.tables.get(name)] for name, one in after.tables.items())


def _calls_more(before: AgentCaller, after: AgentCaller) -> bool:
    known, called = _list_functions(before), _list_functions(after)
    if known is None:
        return False
    return called is None or not frozenset(called) <= frozenset(known)


def _list_functions(caller: AgentCaller) -> Collection[str] | None:
    """None is every function: those of an agent without any list and without hidden columns."""
    if caller.functions is None and (caller.tables is not None or caller.columns):
        return ()
    return caller.functions


def _shows_more(before: AgentCaller, after: AgentCaller) -> bool:
    columns = after.columns or {}
    return any(
        _rank_rule(columns.get(table, {}).get(name)) < _rank_rule(rule)
        for table, rules in (before.columns or {}).items()
        for name, rule in rules.items()
    )


def _rank_rule(rule: str | None) -> int:
    """What is not known to be a mask is denied."""
    return 0 if rule is None else 1 if rule == ColumnRule.MASK else 2


def _is_higher(known: Any, wanted: Any) -> bool:
    """None is no limit."""
    return known is not None and (wanted is None or wanted > known)
