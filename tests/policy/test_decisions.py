"""What is decided on a request and on its plan: nothing that a policy does not name is ever allowed."""

import pytest
from hypothesis import given, settings

from basewarden.policy import Allowed, Policy, Refused, decide, decide_cascade, decide_head, find_reach
from pgrest import InfoPlan, OpenApiPlan
from tests.policy.worlds import (
    CLOSE,
    COUNT,
    CUSTOMERS,
    NOTES,
    ORDERS,
    OTHER,
    SCHEMA,
    Asked,
    policies,
    requests,
)


def run(policy: Policy, asked: Asked) -> str:
    """The code that it is refused with, or "allowed"."""
    head = decide_head(policy, asked.parse(), SCHEMA)
    if isinstance(head, Refused):
        return head.error.code
    plan = asked.plan()
    assert plan is not None
    assert not isinstance(plan, InfoPlan | OpenApiPlan)
    decision = decide(policy, plan)
    return decision.error.code if isinstance(decision, Refused) else "allowed"


def is_within(policy: Policy, asked: Asked) -> bool:
    """The same in other words: set by set, of what the request was made to touch."""
    if policy.tables is not None and not asked.reads | asked.writes <= policy.tables:
        return False
    may_call_any = policy.tables is None and policy.functions is None
    if not may_call_any and not asked.calls <= (policy.functions or frozenset()):
        return False
    if asked.may_write and not policy.can_write:
        return False
    if asked.writes & policy.read_only_tables:
        return False
    return asked.is_filtered or not policy.needs_filter or asked.method not in ("PATCH", "DELETE")


@settings(max_examples=1500)
@given(policies(), requests())
def test_a_request_is_allowed_exactly_where_all_it_touches_is(policy: Policy, asked: Asked) -> None:
    if asked.plan() is not None:
        assert (run(policy, asked) == "allowed") == is_within(policy, asked), (policy, asked)


@settings(max_examples=300)
@given(policies(), requests())
def test_the_plan_alone_is_refused_as_well(policy: Policy, asked: Asked) -> None:
    """A plan that came from a kept template has no head to look at."""
    plan = asked.plan()
    if plan is not None and not isinstance(plan, InfoPlan | OpenApiPlan):
        assert isinstance(decide(policy, plan), Allowed) == is_within(policy, asked)


@settings(max_examples=200)
@given(policies())
def test_a_description_and_a_cascade_follow_the_same_policy(policy: Policy) -> None:
    reach = find_reach(policy, SCHEMA, frozenset({"table"}))
    for name, table in SCHEMA.tables.items():
        assert reach.has_table(name) == policy.may_read(name)
        may_write = policy.may_change(name)
        assert (reach.has_table(name) and reach.may_write(table)) == may_write
        assert isinstance(decide_cascade(policy, name), Allowed) == may_write
    for function, found in SCHEMA.functions.items():
        assert reach.has_function(found[0]) == policy.may_call(function)


_MIXED = Policy(can_write=True, tables=frozenset({ORDERS, CUSTOMERS}), read_only_tables=frozenset({CUSTOMERS}))


@pytest.mark.parametrize(
    ("method", "table", "code"),
    [
        ("GET", ORDERS, "allowed"),
        ("GET", CUSTOMERS, "allowed"),
        ("PATCH", ORDERS, "allowed"),
        ("PATCH", CUSTOMERS, "read_only"),
        ("DELETE", CUSTOMERS, "read_only"),
        ("POST", CUSTOMERS, "read_only"),
        ("GET", NOTES, "table_denied"),
        ("PATCH", NOTES, "table_denied"),
        ("GET", OTHER, "table_denied"),
    ],
)
def test_each_table_has_its_own_access(method: str, table: tuple[str, str], code: str) -> None:
    body = b'{"id": "1"}' if method in ("POST", "PATCH") else b""
    asked = Asked(method, f"/{table[1]}", "id=eq.1" if method != "POST" else "", body, table[0])
    assert run(_MIXED, asked) == code


def test_with_a_list_of_tables_no_function_is_allowed_that_is_not_listed() -> None:
    assert run(_MIXED, Asked("GET", "/rpc/count_orders")) == "table_denied"
    both = Policy(can_write=True, functions=frozenset({COUNT}))
    assert run(both, Asked("GET", "/rpc/count_orders")) == "allowed"
    assert run(both, Asked("POST", "/rpc/close_order", body=b"{}")) == "table_denied"
    assert run(Policy(can_write=True, functions=frozenset({CLOSE})), Asked("GET", "/orders")) == "allowed"


def test_a_cascade_into_a_table_out_of_sight_names_nothing() -> None:
    unseen, seen = decide_cascade(_MIXED, NOTES), decide_cascade(_MIXED, CUSTOMERS)
    assert isinstance(unseen, Refused)
    assert (unseen.error.code, unseen.error.details) == ("table_denied", None)
    assert "notes" not in f"{unseen.error.text}{unseen.error.hint}"
    assert isinstance(seen, Refused)
    assert (seen.error.code, seen.error.details) == ("read_only", {"denied": ["public.customers"]})


def test_a_body_is_read_only_where_some_table_of_the_name_may_be_changed() -> None:
    assert _MIXED.may_change_in_some_schema("orders")
    assert not _MIXED.may_change_in_some_schema("customers")
    assert not _MIXED.may_change_in_some_schema("notes")
    assert Policy(can_write=True).may_change_in_some_schema("anything")
    assert not Policy(can_write=False).may_change_in_some_schema("orders")
