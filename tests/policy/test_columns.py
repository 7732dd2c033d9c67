"""What follows in a database from rules about columns."""

import pytest
from msgspec import structs

from basewarden.policy import Policy, Refused, apply_column_rules, decide
from pgrest import (
    ColumnFacts,
    ColumnGroup,
    ColumnRules,
    ForeignKey,
    GeneratedFacts,
    Name,
    Schema,
    ViewFacts,
)
from tests.policy.worlds import COUNT, CUSTOMERS, NOTES, ORDERS, OTHER, SCHEMA, Asked

EMAIL = ColumnRules(masked=frozenset({"name"}))
NOTHING = ColumnFacts({}, (), (), ())


def apply(
    facts: ColumnFacts = NOTHING,
    rules: ColumnRules = EMAIL,
    *,
    table: Name = CUSTOMERS,
    schema: Schema = SCHEMA,
    functions: frozenset[Name] | None = None,
) -> Policy:
    given = Policy(can_write=True, columns={table: rules}, functions=functions)
    return apply_column_rules(given, schema, facts)


def make_view(
    columns: tuple[tuple[Name, str | None], ...], *, whole: bool = False, calls: frozenset[Name] = frozenset()
) -> ViewFacts:
    return ViewFacts(whole, columns, calls)


@pytest.mark.parametrize(
    ("views", "refused"),
    [
        ({NOTES: make_view(((CUSTOMERS, "name"),))}, {NOTES}),
        ({NOTES: make_view(((CUSTOMERS, "id"),))}, set()),
        ({NOTES: make_view(((CUSTOMERS, None),))}, set()),
        ({NOTES: make_view(((CUSTOMERS, "id"),), whole=True)}, {NOTES}),
        ({NOTES: make_view(((ORDERS, "id"),), whole=True)}, set()),
        ({NOTES: make_view(((ORDERS, "id"),), calls=frozenset({COUNT}))}, {NOTES}),
        ({NOTES: make_view(((OTHER, "id"),)), OTHER: make_view(((CUSTOMERS, "name"),))}, {NOTES, OTHER}),
        ({OTHER: make_view(((CUSTOMERS, "name"),)), NOTES: make_view(((OTHER, "id"),))}, {NOTES, OTHER}),
    ],
)
def test_a_view_that_reads_a_hidden_column_is_refused_whole(views: dict[Name, ViewFacts], refused: set[Name]) -> None:
    policy = apply(ColumnFacts(views, (), (), ()))
    assert {name for name in SCHEMA.tables if not policy.may_read(name)} == refused


def test_a_view_may_call_what_the_agent_may() -> None:
    views = {NOTES: make_view(((ORDERS, "id"),), calls=frozenset({COUNT}))}
    assert apply(ColumnFacts(views, (), (), ()), functions=frozenset({COUNT})).may_read(NOTES)


def test_generated_columns_children_and_parents_are_hidden_too() -> None:
    facts = ColumnFacts(
        {},
        ((NOTES, ORDERS), (OTHER, ORDERS)),
        (),
        (GeneratedFacts(ORDERS, "customer", frozenset({"state"})), GeneratedFacts(NOTES, "body", frozenset({"id"}))),
    )
    policy = apply(facts, ColumnRules(denied=frozenset({"state"})), table=OTHER)
    assert policy.columns == {
        OTHER: ColumnRules(frozenset({"state"})),
        ORDERS: ColumnRules(frozenset({"state", "customer"})),
    }


def test_of_two_rules_about_a_column_the_stricter_counts() -> None:
    given = Policy(
        can_write=True,
        columns={ORDERS: ColumnRules(masked=frozenset({"state"})), OTHER: ColumnRules(denied=frozenset({"state"}))},
    )
    policy = apply_column_rules(given, SCHEMA, ColumnFacts({}, ((OTHER, ORDERS),), (), ()))
    assert policy.columns[ORDERS] == policy.columns[OTHER] == ColumnRules(frozenset({"state"}))


def _write(policy: Policy, method: str, table: Name, body: bytes = b"{}") -> object:
    """The details of a refusal, or "allowed"."""
    asked = Asked(method, f"/{table[1]}", "" if method == "POST" else "id=eq.1", body, table[0])
    plan = asked.plan()
    assert plan is not None
    decision = decide(policy, plan)  # type: ignore[arg-type]  # it is of a table
    if not isinstance(decision, Refused):
        return "allowed"
    assert decision.error.code == "column_denied"
    return decision.error.details


def test_what_a_constraint_compares_with_a_hidden_column_is_not_written() -> None:
    group = ColumnGroup(ORDERS, is_unique=False, columns=frozenset({"state", "customer"}))
    policy = apply(ColumnFacts({}, (), (group,), ()), ColumnRules(masked=frozenset({"state"})), table=ORDERS)
    assert _write(policy, "PATCH", ORDERS, b'{"customer": "1"}') == {"denied": ["customer"]}
    assert _write(policy, "POST", ORDERS, b'{"id": "1", "customer": "1"}') == {"denied": ["customer"]}
    assert _write(policy, "POST", ORDERS, b'{"id": "1"}') == "allowed"
    assert _write(policy, "PATCH", ORDERS, b'{"id": "1"}') == "allowed"


@pytest.mark.parametrize("columns", [frozenset({"state"}), frozenset({"state", "customer"}), None])
def test_into_a_unique_key_with_a_hidden_column_nothing_is_inserted(columns: frozenset[str] | None) -> None:
    group = ColumnGroup(ORDERS, is_unique=True, columns=columns)
    policy = apply(ColumnFacts({}, (), (group,), ()), ColumnRules(masked=frozenset({"state"})), table=ORDERS)
    assert _write(policy, "POST", ORDERS, b'{"id": "1"}') is None
    assert _write(policy, "DELETE", ORDERS, b"") == "allowed"
    assert _write(policy, "PATCH", ORDERS, b'{"id": "1"}') == ("allowed" if columns else {"denied": ["id"]})


def test_rows_that_a_hidden_key_refers_to_are_not_deleted() -> None:
    """Whether that succeeds tells which rows refer to them."""
    policy = apply(NOTHING, ColumnRules(masked=frozenset({"customer"})), table=ORDERS)
    assert _write(policy, "DELETE", CUSTOMERS, b"") is None
    assert _write(policy, "PATCH", CUSTOMERS, b'{"id": "2"}') == {"denied": ["id"]}
    assert _write(policy, "POST", CUSTOMERS, b'{"id": "2"}') == "allowed"
    assert _write(policy, "DELETE", ORDERS, b"") == "allowed"


def test_what_refers_to_a_hidden_column_is_not_written() -> None:
    policy = apply(NOTHING, ColumnRules(denied=frozenset({"id"})), table=CUSTOMERS)
    assert _write(policy, "POST", ORDERS, b'{"id": "1", "customer": "1"}') == {"denied": ["customer"]}
    assert _write(policy, "POST", ORDERS, b'{"id": "1"}') == "allowed"


def test_a_cascade_does_not_write_what_may_not_be_written() -> None:
    """Deleting a note would delete customers, to which a hidden key refers."""
    key = ForeignKey("k", CUSTOMERS, ("name",), NOTES, ("id",), "CASCADE", "CASCADE", (), False, False, "SIMPLE")
    customers = structs.replace(SCHEMA.tables[CUSTOMERS], foreign_keys_out=(key,))
    schema = Schema(SCHEMA.exposed, {**SCHEMA.tables, CUSTOMERS: customers})
    policy = apply(NOTHING, ColumnRules(masked=frozenset({"customer"})), table=ORDERS, schema=schema)
    assert policy.guards is not None
    assert policy.guards.no_delete == {CUSTOMERS, NOTES}


def test_a_partition_is_guarded_as_its_parent_is() -> None:
    group = ColumnGroup(NOTES, is_unique=True, columns=frozenset({"id", "state"}))
    facts = ColumnFacts({}, ((NOTES, ORDERS),), (group,), ())
    schema = Schema(SCHEMA.exposed, {**SCHEMA.tables, NOTES: structs.replace(SCHEMA.tables[ORDERS], name="notes")})
    policy = apply(facts, ColumnRules(masked=frozenset({"state"})), table=ORDERS, schema=schema)
    assert policy.guards is not None
    assert policy.guards.no_insert == {NOTES, ORDERS}


def test_rules_that_were_not_applied_to_a_snapshot_allow_nothing() -> None:
    policy = Policy(can_write=True, columns={CUSTOMERS: EMAIL})
    plan = Asked("GET", "/orders").plan()
    assert plan is not None
    decision = decide(policy, plan)  # type: ignore[arg-type]  # it is of a table
    assert isinstance(decision, Refused)


def test_no_function_is_called_that_is_not_listed() -> None:
    assert not apply().may_call(COUNT)
    assert apply(functions=frozenset({COUNT})).may_call(COUNT)
