"""What is sensitive in a database, who reads its tables, and what an agent may write after what it has read."""

import pytest

from basewarden.policy import STRANGER_ROWS, EgressBlocked, GuardEffects, GuardFacts, GuardMarks, GuardRules, Refused
from pgrest import (
    ALL_COLUMNS,
    AudienceFacts,
    Column,
    ColumnFacts,
    ColumnName,
    DatabaseErrorFields,
    DatabasePlan,
    GeneratedFacts,
    Name,
    NamedColumns,
    Readers,
    Schema,
    ViewFacts,
    list_named_columns,
    list_reported_columns,
)
from tests.policy.worlds import COUNT, CUSTOMERS, NOTES, ORDERS, OTHER, Asked, make_table

PEOPLE, REPLIES, VIEW = ("public", "people"), ("public", "replies"), ("public", "people_view")
EMAIL: ColumnName = (PEOPLE, "email")
WORLD = Schema(
    ("public",),
    {
        PEOPLE: make_table(1, PEOPLE, "email", "nick", "short"),
        REPLIES: make_table(2, REPLIES, "body"),
        VIEW: make_table(3, VIEW, "nick", "contact"),
    },
)
VIEWS = {
    VIEW: ViewFacts(
        uses_whole_rows=False, columns=((PEOPLE, "id"), (PEOPLE, "email"), (PEOPLE, "nick")), functions=frozenset()
    )
}


def make_rules(
    marks: GuardMarks | None = None,
    *,
    columns: ColumnFacts | None = None,
    readers: dict[Name, Readers] | None = None,
    results: dict[Name, frozenset[str]] | None = None,
    schema: Schema | None = WORLD,
) -> GuardRules:
    facts = GuardFacts(columns or ColumnFacts({}, (), (), ()), AudienceFacts(readers or {}, results or {}))
    return GuardRules(marks or GuardMarks(), schema, facts)


def read_by(*roles: str, outright: tuple[str, ...] = (), invoker: bool = False) -> Readers:
    return Readers(frozenset(roles), frozenset(outright), invoker)


def is_refused(rules: GuardRules, reads: set[ColumnName], table: Name = REPLIES) -> bool:
    return isinstance(rules.decide_write(reads, [table]), Refused)


# What is sensitive -------------------------------------------------------------------------------------


def test_a_star_stands_for_every_column() -> None:
    assert make_rules().find_sensitive([(PEOPLE, ALL_COLUMNS), (REPLIES, ALL_COLUMNS)]) == {EMAIL}


def test_a_mark_counts_for_more_than_the_name() -> None:
    marks = GuardMarks(sensitive=frozenset({(PEOPLE, "nick")}), not_sensitive=frozenset({EMAIL}))
    assert make_rules(marks).find_sensitive([(PEOPLE, ALL_COLUMNS)]) == {(PEOPLE, "nick")}


def test_marks_hold_where_no_schema_is_known() -> None:
    rules = make_rules(GuardMarks(sensitive=frozenset({(PEOPLE, "nick")})), schema=None)
    assert rules.find_sensitive([(PEOPLE, ALL_COLUMNS), (PEOPLE, "id")]) == {(PEOPLE, "nick")}
    assert rules.find_sensitive([(PEOPLE, "email")]) == {EMAIL}


def test_a_column_that_is_generated_from_a_sensitive_one_is_so_too() -> None:
    facts = ColumnFacts({}, (), (), (GeneratedFacts(PEOPLE, "short", frozenset({"email"})),))
    assert make_rules(columns=facts).is_sensitive((PEOPLE, "short"))


def test_a_view_shows_sensitive_columns_under_other_names() -> None:
    rules = make_rules(columns=ColumnFacts(VIEWS, (), (), ()))
    assert rules.find_sensitive([(VIEW, ALL_COLUMNS)]) == {(VIEW, "contact")}
    harmless = {VIEW: VIEWS[VIEW]._replace(columns=((PEOPLE, "nick"), (PEOPLE, None)))}
    assert not make_rules(columns=ColumnFacts(harmless, (), (), ())).find_sensitive([(VIEW, ALL_COLUMNS)])
    whole = {VIEW: VIEWS[VIEW]._replace(columns=((PEOPLE, None),), uses_whole_rows=True)}
    assert make_rules(columns=ColumnFacts(whole, (), (), ())).is_sensitive((VIEW, "contact"))


def test_a_number_of_a_view_is_no_copy_of_a_text() -> None:
    view = make_table(3, VIEW, "nick", "contact", "total")
    view.columns["total"] = Column("total", 9, "numeric", "numeric", "N", nullable=True)  # type: ignore[index]  # a table that is made here only
    world = Schema(("public",), {**WORLD.tables, VIEW: view})
    rules = make_rules(columns=ColumnFacts(VIEWS, (), (), ()), schema=world)
    assert rules.find_sensitive([(VIEW, ALL_COLUMNS)]) == {(VIEW, "contact")}


def test_a_partition_shares_the_marks_of_its_parent() -> None:
    part = ("public", "people_2026")
    facts = ColumnFacts({}, ((part, PEOPLE),), (), ())
    rules = make_rules(GuardMarks(sensitive=frozenset({(PEOPLE, "nick")})), columns=facts)
    assert rules.is_sensitive((part, "nick"))


def test_the_columns_that_a_function_returns_count_as_those_of_a_table() -> None:
    rules = make_rules(results={COUNT: frozenset({"n", "email"})})
    assert rules.find_sensitive([(COUNT, ALL_COLUMNS)]) == {(COUNT, "email")}
    assert make_rules().find_sensitive([(("public", "get_api_key"), ALL_COLUMNS)])


@pytest.mark.parametrize(("category", "expected"), [("B", False), ("D", False), ("S", True), ("N", True)])
def test_a_yes_or_no_and_a_time_are_no_sensitive_values(category: str, *, expected: bool) -> None:
    column = Column("email", 1, "x", "x", category, nullable=True)
    table = make_table(1, PEOPLE)
    table.columns["email"] = column  # type: ignore[index]  # a table that is made here only
    assert make_rules(schema=Schema(("public",), {PEOPLE: table})).is_sensitive(EMAIL) is expected


# Who reads, and what may be written -------------------------------------------------------------------------


def test_nothing_is_refused_where_no_wider_audience_reads() -> None:
    assert not is_refused(make_rules(), {EMAIL})
    assert not is_refused(make_rules(readers={REPLIES: read_by("anon")}), set())


@pytest.mark.parametrize(
    ("table", "source", "refused"),
    [
        (read_by("anon"), read_by(), True),
        (read_by("public"), read_by("authenticated"), True),
        (read_by("authenticated"), read_by(), True),
        (read_by("authenticated"), read_by("authenticated"), False),
        (read_by("anon", "authenticated"), read_by("authenticated"), True),
        (read_by("anon"), read_by("anon"), True),  # it may read some of its rows only
        (read_by("anon"), read_by("anon", outright=("anon",)), False),
        (read_by("anon", invoker=True), read_by(), False),
    ],
)
def test_what_more_people_read_than_the_source_is_refused(table: Readers, source: Readers, *, refused: bool) -> None:
    assert is_refused(make_rules(readers={REPLIES: table, PEOPLE: source}), {EMAIL}) is refused


def test_a_table_has_the_readers_of_views_on_it_and_of_its_partitions() -> None:
    part, outer = ("public", "replies_2026"), ("public", "outer_view")
    views = {
        VIEW: VIEWS[VIEW]._replace(columns=((REPLIES, "body"),)),
        outer: VIEWS[VIEW]._replace(columns=((VIEW, "body"),)),
    }
    for readers in ({VIEW: read_by("anon")}, {outer: read_by("anon")}, {part: read_by("anon")}):
        rules = make_rules(columns=ColumnFacts(views, ((part, REPLIES),), (), ()), readers=readers)
        assert is_refused(rules, {EMAIL}), readers
    invoker = {VIEW: read_by("anon", invoker=True)}
    assert not is_refused(make_rules(columns=ColumnFacts(views, (), (), ()), readers=invoker), {EMAIL})


def test_the_owners_marks_of_tables_count_for_more() -> None:
    assert is_refused(make_rules(GuardMarks(public=frozenset({REPLIES})), schema=None), {EMAIL})
    hidden = GuardMarks(not_public=frozenset({REPLIES}))
    assert not is_refused(make_rules(hidden, readers={REPLIES: read_by("anon")}), {EMAIL})
    open_source = GuardMarks(public=frozenset({REPLIES, PEOPLE}))
    assert not is_refused(make_rules(open_source), {EMAIL})


def test_a_column_that_is_marked_is_withheld_from_those_who_may_read_its_table_too() -> None:
    readers = {REPLIES: read_by("anon"), PEOPLE: read_by("anon", outright=("anon",))}
    assert not is_refused(make_rules(readers=readers), {EMAIL})
    assert is_refused(make_rules(GuardMarks(sensitive=frozenset({EMAIL})), readers=readers), {EMAIL})


def test_what_was_read_before_its_column_was_marked_as_harmless_is_forgotten() -> None:
    readers = {REPLIES: read_by("anon")}
    assert not is_refused(make_rules(GuardMarks(not_sensitive=frozenset({EMAIL})), readers=readers), {EMAIL})


def test_the_error_names_what_was_read_to_people_alone() -> None:
    decision = make_rules(readers={REPLIES: read_by("anon")}).decide_write({EMAIL, (PEOPLE, "phone")}, [REPLIES])
    assert isinstance(decision, Refused)
    assert isinstance(decision.error, EgressBlocked)
    assert decision.error.reads == (EMAIL, (PEOPLE, "phone"))
    assert "email" not in str(decision.error.body())


# What a request names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (Asked("GET", "/customers", "select=id"), {(CUSTOMERS, "id")}),
        (Asked("GET", "/customers"), {(CUSTOMERS, "*")}),
        (Asked("GET", "/customers", "select=x:name"), {(CUSTOMERS, "name")}),
        (Asked("GET", "/customers", "select=id&name=eq.a"), {(CUSTOMERS, "id"), (CUSTOMERS, "name")}),
        (Asked("GET", "/customers", "select=id&or=(id.eq.1,name.eq.2)"), {(CUSTOMERS, "id"), (CUSTOMERS, "name")}),
        (Asked("GET", "/customers", "select=id&order=name"), {(CUSTOMERS, "id"), (CUSTOMERS, "name")}),
        (Asked("GET", "/customers", "select=name.max()"), {(CUSTOMERS, "name")}),
        (Asked("GET", "/customers", "select=count()"), set()),
        (Asked("HEAD", "/customers"), set()),
        (Asked("HEAD", "/customers", "name=eq.a"), {(CUSTOMERS, "name")}),
        (
            Asked("GET", "/orders", "select=state,customers(name)"),
            {(ORDERS, "state"), (CUSTOMERS, "name"), (ORDERS, "customer"), (CUSTOMERS, "id")},
        ),
        (
            Asked("GET", "/orders", "select=state,customers()&customers.name=eq.a"),
            {(ORDERS, "state"), (CUSTOMERS, "name"), (ORDERS, "customer"), (CUSTOMERS, "id")},
        ),
        (Asked("POST", "/customers", "", b'{"name": "a"}'), set()),
        (Asked("POST", "/customers", "select=name,id", b'{"name": "a"}'), {(CUSTOMERS, "id")}),
        (Asked("PATCH", "/customers", "id=eq.1", b'{"name": "a"}'), {(CUSTOMERS, "id"), (CUSTOMERS, "*")}),
        (Asked("DELETE", "/notes", "body=eq.1&select=id"), {(NOTES, "id"), (NOTES, "body")}),
        (Asked("GET", "/orders", "select=total&state=eq.a", schema="sales"), None),
        (Asked("GET", "/orders", "select=state", schema="sales"), {(OTHER, "state")}),
        (Asked("GET", "/rpc/count_orders"), {(COUNT, "*")}),
    ],
)
def test_a_plan_names_what_its_request_may_learn_of(asked: Asked, named: set[ColumnName] | None) -> None:
    plan = asked.plan()
    if named is None:
        assert plan is None
        return
    assert isinstance(plan, DatabasePlan)
    assert list_named_columns(plan).learned == named, list_named_columns(plan)


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (Asked("GET", "/customers", "select=id&name=eq.a&order=name"), {(CUSTOMERS, "id")}),
        (Asked("HEAD", "/customers"), set()),
        (Asked("GET", "/orders", "select=state,customers(name)"), {(ORDERS, "state"), (CUSTOMERS, "name")}),
        (Asked("POST", "/customers", "", b'{"name": "a"}'), set()),
        (Asked("POST", "/customers", "select=name,id", b'{"name": "a"}'), set()),
        (Asked("PATCH", "/customers", "id=eq.1&select=name", b'{"name": "a"}'), {(CUSTOMERS, "name")}),
        (Asked("DELETE", "/notes", "body=eq.1&select=id"), {(NOTES, "id")}),
        (
            Asked("POST", "/orders", "select=id,customers(orders(state))", b'{"state": "a"}'),
            {(ORDERS, "state")},
        ),
        (
            Asked("GET", "/customers", "select=id,...orders(id)&orders.order=state"),
            {(CUSTOMERS, "id"), (ORDERS, "id")},
        ),
    ],
)
def test_a_plan_shows_what_its_answer_holds_of_rows_that_were_there(asked: Asked, shown: set[ColumnName]) -> None:
    plan = asked.plan()
    assert isinstance(plan, DatabasePlan)
    assert list_named_columns(plan).shown == shown


_ROW, _KEY = "Failing row contains (1, a, b).", "Key (id, name)=(1, b) already exists."


@pytest.mark.parametrize(
    ("asked", "state", "table", "detail", "learned"),
    [
        (Asked("PATCH", "/customers", "id=eq.1", b'{"id": "2"}'), "23502", CUSTOMERS, _ROW, {(CUSTOMERS, "name")}),
        (Asked("PATCH", "/customers", "id=eq.1", b'{"id": "2"}'), "23505", CUSTOMERS, _KEY, {(CUSTOMERS, "name")}),
        (Asked("PATCH", "/customers", "id=eq.1", b'{"id": "2"}'), "44000", None, _ROW, {(CUSTOMERS, "name")}),
        (Asked("PATCH", "/customers", "id=eq.1", b'{"id": "2"}'), "23514", NOTES, _ROW, {(NOTES, "*")}),
        (Asked("PATCH", "/customers", "id=eq.1", b'{"id": "2"}'), "23502", CUSTOMERS, None, set()),
        (Asked("PATCH", "/customers", "id=eq.1", b'{"id": "2"}'), "22P02", CUSTOMERS, _ROW, set()),
        (Asked("POST", "/customers", "", b'{"id": "2"}'), "23502", CUSTOMERS, _ROW, set()),
        (Asked("DELETE", "/customers", "id=eq.1"), "23503", ORDERS, "Key (id)=(1) is used.",
         {(CUSTOMERS, "id"), (ORDERS, "id")}),
        (Asked("POST", "/rpc/close_order", "", b"{}"), "23514", NOTES, _ROW, {(NOTES, "*")}),
    ],
)  # fmt: skip
def test_the_details_of_an_error_show_what_the_request_did_not_give(
    asked: Asked, state: str, table: Name | None, detail: str | None, learned: set[ColumnName]
) -> None:
    plan = asked.plan()
    assert isinstance(plan, DatabasePlan)
    place = {} if table is None else {"schema": table[0], "table": table[1]}
    assert list_reported_columns(plan, DatabaseErrorFields(state, "m", detail, **place)).learned == learned


# Rows of strangers ----------------------------------------------------------------------------------------


HOLDS = GuardEffects(blocks=False, holds=True)


def make_holding_rules(
    marks: GuardMarks | None = None,
    *,
    written: dict[Name, frozenset[str]] | None = None,
    columns: ColumnFacts | None = None,
    schema: Schema | None = WORLD,
) -> GuardRules:
    facts = GuardFacts(columns or ColumnFacts({}, (), (), ()), AudienceFacts({}, {}, written or {}))
    return GuardRules(marks or GuardMarks(), schema, facts, HOLDS)


def find_tables(rules: GuardRules, *shown: ColumnName) -> set[Name]:
    found = rules.find_reads(NamedColumns(frozenset(shown), frozenset(shown)))
    assert {column for _, column in found} <= {STRANGER_ROWS}
    return {table for table, _ in found}


def test_what_strangers_may_write_counts_when_it_is_shown() -> None:
    rules = make_holding_rules(written={REPLIES: frozenset({"body"})})
    assert find_tables(rules, (REPLIES, "body")) == find_tables(rules, (REPLIES, ALL_COLUMNS)) == {REPLIES}
    assert not find_tables(rules, (REPLIES, "id"), EMAIL)
    assert not rules.find_reads(NamedColumns(frozenset({(REPLIES, "body")})))  # it is named, and not shown
    assert rules.find_written_by_strangers(REPLIES) == {"body"}


def test_words_of_strangers_are_followed_through_views_partitions_and_generated_columns() -> None:
    part, written = ("public", "people_2026"), frozenset({"nick"})
    assert find_tables(
        make_holding_rules(written={PEOPLE: written}, columns=ColumnFacts(VIEWS, (), (), ())), (VIEW, "nick")
    )
    family = ColumnFacts({}, ((part, PEOPLE),), (), ())
    assert find_tables(make_holding_rules(written={part: written}, columns=family), (PEOPLE, "nick")) == {PEOPLE}
    made = ColumnFacts({}, (), (), (GeneratedFacts(PEOPLE, "short", written),))
    assert find_tables(make_holding_rules(written={PEOPLE: written}, columns=made), (PEOPLE, "short")) == {PEOPLE}
    through = make_holding_rules(written={VIEW: frozenset({"contact"})}, columns=ColumnFacts(VIEWS, (), (), ()))
    assert find_tables(through, EMAIL) == {PEOPLE}


def test_parts_of_a_table_at_any_depth_share_its_rows_and_not_those_of_each_other() -> None:
    part, leaf, other = ("public", "people_2026"), ("public", "people_2026_a"), ("public", "people_2027")
    family = ColumnFacts({}, ((part, PEOPLE), (leaf, part), (other, PEOPLE)), (), ())
    columns = ((PEOPLE, "nick"), (part, "nick"), (leaf, "nick"), (other, "nick"))
    rules = make_holding_rules(written={leaf: frozenset({"nick"})}, columns=family)
    assert find_tables(rules, *columns) == {PEOPLE, part, leaf}
    marked = make_holding_rules(GuardMarks(by_strangers=frozenset({part})), columns=family)
    assert find_tables(marked, *columns) == {PEOPLE, part, leaf}
    trusted = GuardMarks(trusted=frozenset({part}))
    assert find_tables(make_holding_rules(trusted, written={leaf: frozenset({"nick"})}, columns=family), *columns) == {
        PEOPLE
    }
    assert not make_holding_rules(trusted, columns=family).list_holding({(leaf, STRANGER_ROWS)})
    readers = make_rules(columns=family, readers={leaf: read_by("anon")})
    assert [bool(readers.find_readers(one)) for one in (PEOPLE, part, leaf, other)] == [True, True, True, False]


def test_words_come_through_views_on_views_and_computed_columns() -> None:
    outer = ("public", "outer_view")
    views = {VIEW: VIEWS[VIEW], outer: VIEWS[VIEW]._replace(columns=((VIEW, "nick"),))}
    far = make_holding_rules(written={outer: frozenset({"nick"})}, columns=ColumnFacts(views, (), (), ()))
    assert find_tables(far, (PEOPLE, "nick")) == {PEOPLE}
    facts = AudienceFacts({}, {}, {PEOPLE: frozenset({"nick"})}, {(PEOPLE, "shout"): frozenset({"nick"})})
    computed = GuardRules(GuardMarks(), WORLD, GuardFacts(ColumnFacts({}, (), (), ()), facts), HOLDS)
    assert find_tables(computed, (PEOPLE, "shout")) == {PEOPLE}
    assert not find_tables(computed, (PEOPLE, "other"))


def test_what_is_shown_of_a_table_that_is_not_known_may_be_of_each_that_is_marked() -> None:
    marks = GuardMarks(sensitive=frozenset({(PEOPLE, "nick")}), by_strangers=frozenset({REPLIES}))
    rules = GuardRules(marks, None, GuardFacts(), GuardEffects(holds=True))
    for shown, expected in (("nick", {(PEOPLE, "nick"), (REPLIES, STRANGER_ROWS)}), ("id", {(REPLIES, STRANGER_ROWS)})):
        assert rules.find_reads(NamedColumns(frozenset(), unplaced=frozenset({shown}))) == expected
    assert not rules.find_reads(NamedColumns(frozenset()))


@pytest.mark.parametrize(
    ("category", "base", "expected"),
    [("S", "text", True), ("U", "jsonb", True), ("A", "text[]", True), ("N", "integer", False), ("D", "date", False),
     ("B", "boolean", False), ("E", "mood", False), ("U", "uuid", False)],
)  # fmt: skip
def test_what_holds_no_words_does_not_count(category: str, base: str, *, expected: bool) -> None:
    table = make_table(1, PEOPLE)
    table.columns["said"] = Column("said", 1, base, base, category, nullable=True)  # type: ignore[index]  # a table that is made here only
    rules = make_holding_rules(written={PEOPLE: frozenset({"said"})}, schema=Schema(("public",), {PEOPLE: table}))
    assert rules.is_by_strangers((PEOPLE, "said")) is expected


def test_the_owners_marks_of_writers_count_for_more() -> None:
    written = {REPLIES: frozenset({"body"})}
    assert not find_tables(
        make_holding_rules(GuardMarks(trusted=frozenset({REPLIES})), written=written), (REPLIES, "body")
    )
    marked = make_holding_rules(GuardMarks(by_strangers=frozenset({PEOPLE})), schema=None)
    assert find_tables(marked, (PEOPLE, "nick"), (REPLIES, "body")) == {PEOPLE}
    assert marked.list_holding({(PEOPLE, STRANGER_ROWS), (REPLIES, "body")}) == [PEOPLE]
    trusted = make_holding_rules(GuardMarks(trusted=frozenset({PEOPLE})))
    assert not trusted.list_holding({(PEOPLE, STRANGER_ROWS)})
    assert not make_rules().list_holding({(PEOPLE, STRANGER_ROWS)})


def test_rows_of_strangers_are_no_sensitive_column() -> None:
    assert not is_refused(make_rules(readers={REPLIES: read_by("anon")}), {(PEOPLE, STRANGER_ROWS)})


def test_names_that_a_request_makes_up_are_not_kept_one_by_one() -> None:
    results = {COUNT: frozenset({"email"})}
    keys, unknown = {(PEOPLE, f"email{n}") for n in range(9)}, {(("public", f"x{n}"), "email") for n in range(9)}
    called = {(COUNT, "email"), *((COUNT, f"email{n}") for n in range(9))}
    kept = make_rules(results=results).find_reads(NamedColumns(frozenset({EMAIL, *keys, *unknown, *called})))
    assert kept == {EMAIL, (PEOPLE, "*"), (("public", "*"), "*"), (COUNT, "email"), (COUNT, "*")}
    assert is_refused(make_rules(readers={REPLIES: read_by("anon")}), {(PEOPLE, "*")})


def test_a_masked_column_is_a_sensitive_one_but_where_it_is_marked() -> None:
    named = NamedColumns(frozenset(), frozenset(), frozenset({(PEOPLE, "nick")}))
    assert make_rules().find_reads(named) == {(PEOPLE, "nick")}
    assert not make_rules(GuardMarks(not_sensitive=frozenset({(PEOPLE, "nick")}))).find_reads(named)
