"""What counts as more for an agent, field by field in both ways, and against what policy decides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basewarden.connections import Access, AgentCaller
from basewarden.connections.agent_widening import is_wider
from basewarden.gateway.caller import make_agent_policy
from basewarden.policy import Refused, apply_column_rules, decide, decide_head
from pgrest import ColumnFacts, InfoPlan, OpenApiPlan
from tests.policy.worlds import FUNCTIONS, SCHEMA, TABLES, Asked, requests

READ, PROPOSE, WRITE = Access.READ, Access.PROPOSE, Access.WRITE
SOON = datetime(2100, 1, 1, tzinfo=UTC)
FACTS = ColumnFacts({}, (), (), ())
CALLER = AgentCaller(
    id=UUID(int=1), name="a", connection_id=UUID(int=2), access=WRITE, tables=None, functions=None, columns=None,
    db_role=None, claims=None, max_rows_per_write=10, max_writes_per_session=10, max_rows_per_session=None,
    max_rows_per_hour=None, max_read_rows_per_hour=None, requests_per_minute=None, expires_at=None,
)  # fmt: skip
LISTED: dict[str, Any] = {"tables": {"public.a": WRITE, "public.b": READ}, "functions": ["public.f"]}


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"access": READ}, {"access": WRITE}),
        ({"access": READ}, {"access": PROPOSE}),
        ({"access": PROPOSE}, {"access": WRITE}),
        ({"tables": {"a": READ}}, {"tables": {"a": PROPOSE}}),
        ({"tables": {"a": READ}}, {"tables": {"a": WRITE}}),
        ({"tables": {"a": READ}}, {"tables": {"a": READ, "b": READ}}),
        ({"tables": {}}, {"tables": {"b": READ}}),
        ({"tables": {}, "functions": []}, {"tables": None, "functions": []}),
        ({"tables": {"a": WRITE}, "functions": []}, {"tables": None, "functions": None}),
        ({"functions": ["f"]}, {"functions": ["f", "g"]}),
        ({"functions": []}, {"functions": None}),
        ({"columns": {"a": {"x": "mask"}}}, {"columns": None}),
        ({"columns": {"a": {"x": "mask"}}, "functions": []}, {"columns": {}, "functions": []}),
        ({"columns": {"a": {"x": "deny"}}}, {"columns": {"a": {"x": "mask"}}}),
        ({"columns": {"a": {"x": "deny", "y": "mask"}}}, {"columns": {"a": {"x": "deny"}}}),
        ({"columns": {"a": {"x": "deny"}, "b": {"x": "mask"}}}, {"columns": {"b": {"x": "mask"}}}),
        ({"columns": {"a": {"x": "a rule of a later version"}}}, {"columns": {"a": {"x": "mask"}}}),
        ({"max_rows_per_write": 9}, {"max_rows_per_write": 10}),
        ({"max_writes_per_session": 9}, {"max_writes_per_session": 10}),
        *(({name: 9}, {name: 10}) for name in ("max_rows_per_session", "max_rows_per_hour", "max_read_rows_per_hour")),
        ({"max_rows_per_session": 9}, {"max_rows_per_session": None}),
        ({"max_rows_per_hour": 9}, {"max_rows_per_hour": None}),
        ({"max_read_rows_per_hour": 9}, {"max_read_rows_per_hour": None}),
        ({"requests_per_minute": 9}, {"requests_per_minute": 10}),
        ({"requests_per_minute": 9}, {"requests_per_minute": None}),
        ({"expires_at": SOON}, {"expires_at": SOON + timedelta(seconds=1)}),
        ({"expires_at": SOON}, {"expires_at": None}),
    ],
)
def test_each_field_both_ways(less: dict[str, Any], more: dict[str, Any]) -> None:
    small, large = replace(CALLER, **less), replace(CALLER, **more)
    assert is_wider(small, large)
    assert not is_wider(large, small)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"db_role": "guest"}, {"db_role": None}),
        ({"db_role": "guest"}, {"db_role": "other"}),
        ({"claims": {"sub": "1"}}, {"claims": None}),
        ({"claims": {"sub": "1"}}, {"claims": {"sub": "2"}}),
        ({"tables": {"a": READ}}, {"tables": {"b": READ}}),
        ({"functions": ["f"]}, {"functions": ["g"]}),
        ({"columns": {"a": {"x": "mask"}}}, {"columns": {"a": {"y": "deny"}}}),
    ],
)
def test_what_is_neither_less_nor_more_counts_as_more(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = replace(CALLER, **one), replace(CALLER, **other)
    assert is_wider(first, second)
    assert is_wider(second, first)


@pytest.mark.parametrize("same", [{"name": "b"}, {"stop": "agent_paused"}, {"id": UUID(int=3)}])
def test_what_is_no_right_is_never_more(same: dict[str, Any]) -> None:
    assert not is_wider(CALLER, replace(CALLER, **same))


def test_a_list_instead_of_everything_is_less() -> None:
    assert not is_wider(CALLER, replace(CALLER, **LISTED))
    assert is_wider(replace(CALLER, access=READ), replace(CALLER, **LISTED))


def spell(name: tuple[str, str]) -> str:
    return ".".join(name)


# Made once: Hypothesis first looks through a new strategy, which takes longer than a draw.
ACCESSES = st.sampled_from(Access)
WRITE_OR_READ = {access: st.sampled_from([READ, access]) for access in Access}
NAMES = st.sampled_from(TABLES).map(spell)
TABLE_LISTS = {access: st.none() | st.dictionaries(NAMES, own) for access, own in WRITE_OR_READ.items()}
FUNCTION_LISTS = st.none() | st.lists(st.sampled_from(FUNCTIONS).map(spell), unique=True)
RULES = st.dictionaries(st.sampled_from(("id", "state", "name", "customer")), st.sampled_from(("mask", "deny")))
COLUMN_RULES = st.none() | st.dictionaries(NAMES, RULES, max_size=2)
ROWS = st.integers(1, 3)
ROWS_OR_NONE = st.none() | ROWS
ENDS = st.none() | st.sampled_from((SOON, SOON + timedelta(days=1)))
ROLES = st.sampled_from((None, None, None, "guest"))
CHANGES = st.sets(st.sampled_from(("access", "tables", "functions", "columns", "max_rows_per_hour")), max_size=3)


@st.composite
def _callers(draw: st.DrawFn) -> AgentCaller:
    access = draw(ACCESSES)
    return replace(
        CALLER,
        access=access,
        tables=draw(TABLE_LISTS[access]),
        functions=draw(FUNCTION_LISTS),
        columns=draw(COLUMN_RULES),
        max_rows_per_write=draw(ROWS),
        max_rows_per_hour=draw(ROWS_OR_NONE),
        expires_at=draw(ENDS),
        db_role=draw(ROLES),
    )


CALLERS = _callers()


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[AgentCaller, AgentCaller]:
    """Two that differ in some fields: of two unrelated ones the second is nearly always wider."""
    before, other = draw(CALLERS), draw(CALLERS)
    changed = {name: getattr(other, name) for name in draw(CHANGES)}
    if before.tables and draw(st.booleans()):
        kept = draw(st.sets(st.sampled_from(sorted(before.tables))))
        changed["tables"] = {name: one for name, one in before.tables.items() if name in kept}
    return before, replace(before, **changed)


def is_allowed(caller: AgentCaller, asked: Asked) -> bool:
    """A request that names a hidden column is refused when it is planned, at the latest; these all name `id`."""
    if any("id" in (caller.columns or {}).get(spell(name), {}) for name in asked.reads | asked.writes):
        return False
    given_policy = make_agent_policy(caller)
    policy = apply_column_rules(given_policy, SCHEMA, FACTS) if given_policy.columns else given_policy
    if isinstance(decide_head(policy, asked.parse(), SCHEMA), Refused):
        return False
    plan = asked.plan()
    assert plan is not None
    assert not isinstance(plan, InfoPlan | OpenApiPlan)
    return not isinstance(decide(policy, plan), Refused)


@settings(max_examples=300)
@given(CALLERS)
def test_an_agent_is_never_wider_than_itself(caller: AgentCaller) -> None:
    assert not is_wider(caller, caller)
    assert not is_wider(caller, replace(caller, name="renamed"))


@settings(max_examples=1000, deadline=None)
@given(neighbours(), st.lists(requests(), min_size=1, max_size=4))
def test_what_was_refused_is_allowed_only_after_a_wider_change(
    pair: tuple[AgentCaller, AgentCaller], asked: list[Asked]
) -> None:
    before, after = pair
    if is_wider(before, after):
        return
    for one in asked:
        if one.plan() is not None and is_allowed(after, one):
            assert is_allowed(before, one), (before, after, one)


@settings(max_examples=300)
@given(CALLERS, CALLERS, CALLERS)
def test_two_changes_of_which_none_widens_do_not_widen_together(
    first: AgentCaller, second: AgentCaller, third: AgentCaller
) -> None:
    if is_wider(first, third):
        assert is_wider(first, second) or is_wider(second, third)
