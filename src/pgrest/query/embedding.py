"""Builds the read tree from a request and the snapshot.

It puts filters, orders and ranges on their nodes, finds the relationships between them, and settles aliases,
stars and aggregates.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pgrest import errors
from pgrest.config import Name, RestConfig
from pgrest.query.grammar.nodes import (
    Aggregate,
    Condition,
    EmbedPath,
    Field,
    Filter,
    IsTest,
    Logic,
    OrderTerm,
    SelectField,
    SelectItem,
    SelectRelation,
    TextSearch,
)
from pgrest.query.hiding import (
    SYSTEM_COLUMNS,
    WHOLE_ROW,
    find_shown_relationship,
    is_hidden,
    make_tie_breakers,
    mask_output,
)
from pgrest.query.ranges import ALL_ROWS, Range
from pgrest.query.request import Request
from pgrest.query.tree import (
    BooleanTree,
    ColumnRef,
    Embed,
    EmbedTest,
    OrderBy,
    Output,
    ReadNode,
    SearchVector,
    SpreadField,
    Test,
    TreeCondition,
)
from pgrest.schema.model import ColumnRules, ComputedColumn, OwnOperators, Relationship, Schema, Table

SOURCE: Name = ("", "pgrst_source")
"""The CTE that holds the rows of a write or a call, from which the answer is then selected."""


_COUNT = Field("count")


def build_tree(schema: Schema, request: Request, config: RestConfig, root: Name, *, from_source: bool) -> ReadNode:
    """`from_source`: the root's rows come from a write or a call instead of from the table itself."""
    is_write = from_source and request.resource.kind == "table"
    draft = _draft_tree(request, max_rows=None if is_write else config.max_rows, is_write=is_write)
    grower = _TreeBuilder(schema, request.schema, config, is_call=request.resource.kind == "function")
    return grower.grow_root(draft, root, from_source=from_source)


# Drafting: who is asked what ----------------------------------------------------------------------------


@dataclass
class _NodeDraft:
    """A node while the parts of the query string are still being put on it."""

    item: SelectRelation | None
    fields: list[SelectField]
    children: list["_NodeDraft"]
    conditions: list[Condition] = field(default_factory=list)
    order: tuple[OrderTerm, ...] = ()
    range: Range = ALL_ROWS

    @property
    def name(self) -> str:
        return self.item.name if self.item is not None else ""

    @property
    def shown_name(self) -> str:
        return (self.item.alias or self.item.name) if self.item is not None else ""

    def find(self, path: EmbedPath) -> "_NodeDraft":
        """What is asked for last comes first in the answer, as in PostgREST."""
        at = self
        for step in path:
            found = next((child for child in at.children if step in (child.name, child.shown_name)), None)
            if found is None:
                raise errors.not_embedded(step)
            at.children = [found, *(child for child in at.children if child is not found)]
            at = found
        return at

    def walk(self) -> Iterable["_NodeDraft"]:
        yield self
        for child in self.children:
            yield from child.walk()


def _draft_tree(request: Request, *, max_rows: int | None, is_write: bool) -> _NodeDraft:
    """From the last parameter to the first, as PostgREST: of two orders the first counts, of two faults the last."""
    query = request.query
    root = _draft_node(None, query.select)
    for on_path in reversed(query.filters):
        if on_path.path or not is_write:
            root.find(on_path.path).conditions.insert(0, on_path.filter)
    for path, terms in reversed(query.orders):
        root.find(path).order = terms
    if not is_write:
        for path, asked in query.ranges:
            root.find(path).range = asked
        root.range = request.top_range
    for logic in reversed(query.logic):
        if logic.path or not is_write:
            root.find(logic.path).conditions.insert(0, logic.logic)
    if not is_write:
        for draft in root.walk():
            draft.range = draft.range.restrict(max_rows)
    return root


def _draft_node(item: SelectRelation | None, items: Sequence[SelectItem]) -> _NodeDraft:
    fields = [one for one in items if isinstance(one, SelectField)]
    relations = [one for one in items if isinstance(one, SelectRelation)]
    return _NodeDraft(item, fields, [_draft_node(one, one.items) for one in relations])


# Growing: what it means in this database ----------------------------------------------------------------


class _Place(NamedTuple):
    """The place of a node: the table that names refer to, and its depth."""

    name: str
    table: Table | None
    depth: int
    sums_up: bool
    """Whether this node or one above it aggregates, so that stars must be spelled out."""
    alias: str
    is_source: bool = False
    """Whether its rows come out of SOURCE, which has evaluated computed columns already."""
    rules: ColumnRules | None = None

    @property
    def shown_columns(self) -> Collection[str]:
        """Those of the table that `*` means."""
        if self.table is None or self.rules is None:
            return () if self.table is None else self.table.columns
        return [name for name in self.table.columns if name not in self.rules.denied and name != WHOLE_ROW]


class _HoistedFields(NamedTuple):
    aggregate: Aggregate
    cast: str | None
    alias: str | None


class _Grown(NamedTuple):
    node: ReadNode
    hoisted: Mapping[str, _HoistedFields]
    """Aggregates over a spread to-one row belong to the parent: field -> what to do with it there."""


@dataclass(frozen=True)
class _TreeBuilder:
    schema: Schema
    namespace: str
    config: RestConfig
    is_call: bool = False

    def grow_root(self, draft: _NodeDraft, root: Name, *, from_source: bool) -> ReadNode:
        table = self.schema.tables.get(root)
        asks_aggregates = self._read_counts(draft, table)
        rules = self.schema.find_column_rules(root)
        place = _Place(root[1], table, 0, _has_aggregate(draft), root[1], is_source=from_source, rules=rules)
        if rules is not None and not draft.fields and not draft.children:
            draft.fields = [SelectField(Field("*"))]
        node = ReadNode(
            source=SOURCE if from_source else root,
            alias=root[1],
            table=table,
            outputs=self._outputs(draft, place, is_spread=False),
        )
        grown = self._finish(draft, node, place, asks_aggregates=asks_aggregates).node
        return _rename_apart(grown) if table is None and from_source else grown

    def _grow_child(self, draft: _NodeDraft, item: SelectRelation, parent: _Place) -> _Grown:
        relationship = find_shown_relationship(self.schema, self.namespace, parent.name, item)
        depth = parent.depth + 1
        table = self.schema.tables.get(relationship.target)
        asks_aggregates = self._read_counts(draft, table)
        spread = None if not item.is_spread else "one" if relationship.is_to_one else "many"
        sums_up = parent.sums_up or _has_aggregate(draft) or spread == "many"
        middle = relationship.junction
        alias, rules = f"{relationship.target[1]}_{depth}", self.schema.find_column_rules(relationship.target)
        place = _Place(relationship.target[1], table, depth, sums_up, alias, rules=rules)
        node = ReadNode(
            source=relationship.target,
            alias=place.alias,
            table=table,
            outputs=self._outputs(draft, place, is_spread=item.is_spread),
            name=draft.shown_name,
            aggregate_alias=f"{relationship.table[1]}_{draft.shown_name}_{depth}",
            relationship=relationship,
            is_inner=item.join == "inner",
            spread=spread,  # type: ignore[arg-type]  # mypy widens the conditional to str
            junction_alias=f"{middle.table[1]}_{depth}_via" if middle is not None else "",
            key_operators=self._share_operators(relationship.table, relationship.target, relationship.columns)
            if middle is None
            else self._share_operators(relationship.table, middle.table, middle.source_columns),
            target_operators=()
            if middle is None
            else self._share_operators(relationship.target, middle.table, middle.target_columns),
        )
        return self._finish(draft, node, place, asks_aggregates=asks_aggregates)

    def _share_operators(
        self, table: Name, other: Name, columns: Iterable[tuple[str, str]]
    ) -> tuple[OwnOperators | None, ...]:
        """Of pairs of columns that are joined: those of their type, where both have it."""
        ours, theirs = self.schema.tables.get(table), self.schema.tables.get(other)
        found = [(_own_operators(ours, left), _own_operators(theirs, right)) for left, right in columns]
        return tuple(left if left == right else None for left, right in found)

    def _finish(self, draft: _NodeDraft, node: ReadNode, place: _Place, *, asks_aggregates: bool) -> _Grown:
        """Grow the children, then what needs to know them: conditions and orders on embedded rows."""
        grown = [self._grow_child(child, child.item, place) for child in draft.children if child.item]
        children = {child.node.name: child.node for child in reversed(grown)}
        order = tuple(self._order(term, place, children) for term in draft.order)
        if not _has_aggregate(draft) and not any(child.hoisted for child in grown):
            order += self._break_ties(order, node, place)
        node = replace(
            node,
            conditions=tuple(self.condition(one, place, children) for one in draft.conditions),
            order=order,
            range=draft.range,
            embeds=tuple(_embed(child.node) for child in grown),
        )
        if asks_aggregates and not self.config.aggregates_enabled:
            raise errors.aggregates_off()
        return _order_spread(_hoist(node, grown))

    def _break_ties(self, order: Sequence[OrderBy], node: ReadNode, place: _Place) -> tuple[OrderBy, ...]:
        """Where columns are hidden, rows come in the order of their key, whatever values the planner reckons with.

        An index on a hidden column would order rows by it. A function's own order is its author's.
        """
        table = place.table
        if table is None or not self.schema.has_column_rules:
            return ()
        is_ruled = any(is_hidden(place.rules, name) for name in table.primary_key)
        is_ordered = node.is_to_one or (self.is_call and place.is_source)
        return () if is_ruled or is_ordered else make_tie_breakers(table, order)

    # Columns --------------------------------------------------------------------------------------------

    def _read_counts(self, draft: _NodeDraft, table: Table | None) -> bool:
        """Whether aggregates are asked for, those that may be switched off.

        `count` alone counts rows, too. It is older and always on: PostgreSQL took the function for a column of the row.
        """
        asks_aggregates = any(one.aggregate for one in draft.fields)
        if not self.config.calls_unknown_names and table is not None and self._lacks(table, _COUNT.name):
            draft.fields = [_read_count(one) for one in draft.fields]
        return asks_aggregates

    def _lacks(self, table: Table, name: str) -> bool:
        return name not in table.columns and not any(
            one.function[1] == name for one in self.schema.computed_columns.get(table.qualified, ())
        )

    def _outputs(self, draft: _NodeDraft, place: _Place, *, is_spread: bool) -> tuple[Output, ...]:
        table = place.table
        spells_out = place.sums_up or place.rules is not None or self._has_representations(table)
        outputs: list[Output] = []
        for one in draft.fields:
            if one.field.name != "*" or not spells_out or table is None:
                outputs.append(self._output(one, place, is_spread=is_spread))
            elif one.aggregate is None:
                outputs.extend(
                    self._output(SelectField(Field(name)), place, is_spread=False) for name in place.shown_columns
                )
            else:
                if place.rules is not None and one.aggregate != "count":
                    raise errors.column_denied(WHOLE_ROW)
                counted = self._output(one, place._replace(rules=None), is_spread=is_spread)
                outputs.append(replace(counted, column=ColumnRef("*", is_whole_row=is_spread)))
        return tuple(outputs)

    def _output(self, one: SelectField, place: _Place, *, is_spread: bool) -> Output:
        if place.rules is not None and one.field.name in place.rules.masked:
            return mask_output(one, place.table, sums_up=place.sums_up)
        column = self._column(one.field, place, from_type=None, to_type="json")
        return Output(
            column=column,
            alias=one.alias or _implied_alias(one, column, is_spread=is_spread),
            cast=one.cast,
            aggregate=one.aggregate,
            aggregate_cast=one.aggregate_cast,
        )

    def _has_representations(self, table: Table | None) -> bool:
        columns = table.columns.values() if table is not None else ()
        return any((column.type, "json") in self.schema.representations for column in columns)

    def _column(self, given: Field, place: _Place, *, from_type: str | None, to_type: str | None) -> ColumnRef:
        if is_hidden(place.rules, given.name):
            raise errors.column_denied(given.name)
        known = place.table.columns.get(given.name) if place.table is not None else None
        if known is None:
            return self._not_stored(given, place)
        pair = (from_type or known.type, to_type or known.type)
        return ColumnRef(
            given.name,
            given.path,
            is_json=known.type in ("json", "jsonb"),
            transform=self.schema.representations.get(pair),
            own_operators=known.own_operators,
        )

    def _not_stored(self, given: Field, place: _Place) -> ColumnRef:
        """A computed column, or a name that only PostgreSQL can explain; it takes any function for the latter."""
        computed = self._find_computed(given.name, place)
        if computed is not None:
            return ColumnRef(
                given.name,
                given.path,
                own_operators=computed.own_operators,
                computed=computed,
                is_returned=place.is_source,
            )
        if self.config.calls_unknown_names or given.name == "*":
            return ColumnRef(given.name, given.path)
        if place.table is None and place.is_source:
            return ColumnRef(given.name, given.path, is_bare=True)
        if given.name in SYSTEM_COLUMNS and not place.is_source:
            return ColumnRef(given.name, given.path)
        raise errors.no_such_column(place.alias, given.name, place.shown_columns)

    def _find_computed(self, name: str, place: _Place) -> ComputedColumn | None:
        if place.table is None:
            return None
        path = (self.namespace, *self.config.extra_search_path)
        return self.schema.find_computed(place.table.qualified, name, path)

    # Conditions and orders ------------------------------------------------------------------------------

    def condition(self, one: Condition, place: _Place, children: Mapping[str, ReadNode]) -> TreeCondition:
        if isinstance(one, Logic):
            nested = tuple(self.condition(child, place, children) for child in one.children)
            return BooleanTree(one.operator, nested, one.negated)
        child = children.get(one.field.name) if not one.field.path else None
        if child is not None and isinstance(one.operation, IsTest) and one.operation.value == "null":
            return EmbedTest(child.aggregate_alias, is_empty=not one.negated)
        return self._test(one, place)

    def _test(self, one: Filter, place: _Place) -> Test:
        column = self._column(one.field, place, from_type="text", to_type=None)
        if isinstance(one.operation, TextSearch) and not _is_search_vector(column, place.table):
            column = replace(column, search=SearchVector(one.operation.language))
        return Test(column, one.operation, one.negated)

    def _order(self, term: OrderTerm, place: _Place, children: Mapping[str, ReadNode]) -> OrderBy:
        if term.relation is None:
            column = replace(self._column(term.field, place, from_type=None, to_type=None), transform=None)
            return OrderBy(column, term.direction, term.nulls)
        child = children.get(term.relation)
        if child is None:
            raise errors.not_embedded(term.relation)
        if not child.is_to_one:
            raise errors.order_not_to_one(place.name, child.name)
        rules = self.schema.find_column_rules(child.relationship.target) if child.relationship is not None else None
        if rules is not None and term.field.name in rules.hidden:
            raise errors.column_denied(term.field.name)
        if not self.config.calls_unknown_names and term.field.name not in _list_shown(child):
            raise errors.no_such_column(child.aggregate_alias, term.field.name)
        column = ColumnRef(term.field.name, term.field.path, is_json=True)
        return OrderBy(column, term.direction, term.nulls, child.aggregate_alias)


def resolve_conditions(
    schema: Schema, config: RestConfig, table: Table, filters: Iterable[Filter], logic: Iterable[Condition]
) -> tuple[TreeCondition, ...]:
    """The conditions of a write on its own table."""
    grower = _TreeBuilder(schema, table.schema, config)
    rules = schema.find_column_rules(table.qualified)
    place = _Place(table.name, table, 0, sums_up=False, alias=table.name, rules=rules)
    return tuple(grower.condition(one, place, {}) for one in (*filters, *logic))


def _rename_apart(node: ReadNode) -> ReadNode:
    """With an alias that is no name in the request: where there is no such column, it would mean the whole row."""
    columns = [one.column for one in node.outputs] + [one.column for one in node.order]
    columns += [column for condition in node.conditions for column in condition.columns()]
    names = {column.name for column in columns if column.is_bare}
    alias = node.alias
    while alias in names:
        alias += "_"
    return replace(node, alias=alias)


def _own_operators(table: Table | None, name: str) -> OwnOperators | None:
    column = table.columns.get(name) if table is not None else None
    return column.own_operators if column is not None else None


def _has_aggregate(draft: _NodeDraft) -> bool:
    return any(one.aggregate is not None for one in draft.fields)


def _is_search_vector(column: ColumnRef, table: Table | None) -> bool:
    if column.computed is not None:
        return column.computed.is_search_vector
    known = table.columns.get(column.name) if table is not None else None
    return known is not None and known.base_type == "tsvector"


def _read_count(one: SelectField) -> SelectField:
    if one.field != _COUNT or one.aggregate is not None:
        return one
    return SelectField(Field("*"), one.alias or _COUNT.name, aggregate="count", aggregate_cast=one.cast)


def _list_shown(node: ReadNode) -> Collection[str]:
    """The names that an embedded row has."""
    shown = {output.name for output in node.outputs} | {embed.node.name for embed in node.embeds}
    is_whole = "*" in shown or not (node.outputs or node.embeds)
    return shown.union(node.table.columns) if is_whole and node.table is not None else shown


def _implied_alias(one: SelectField, column: ColumnRef, *, is_spread: bool) -> str | None:
    """`data->a->>b` shows as `b`, and an aggregate that is spread needs a name for its parent to use."""
    if one.aggregate is not None:
        return one.aggregate if is_spread else None
    if one.field.path:
        keys = [step.operand for step in one.field.path if not step.is_index]
        return keys[-1] if keys else one.field.name
    return one.field.name if column.transform is not None else None


# Spreading ----------------------------------------------------------------------------------------------


def _embed(node: ReadNode) -> Embed:
    if node.spread is None:
        return Embed(node, is_hidden=_selects_nothing(node))
    fields = [SpreadField(output.name) for output in node.outputs]
    for embed in node.embeds:
        if embed.node.spread is None:
            fields.append(SpreadField(embed.node.name))
        else:
            fields.extend(SpreadField(one.alias or one.name) for one in embed.fields)
    return Embed(node, tuple(fields))


def _selects_nothing(node: ReadNode) -> bool:
    return not node.outputs and all(_selects_nothing(embed.node) for embed in node.embeds)


def _hoist(node: ReadNode, children: Sequence[_Grown]) -> _Grown:
    """Move the aggregates of spread to-one rows up, to the first node that is shown as rows of its own."""
    from_children = {
        (child.node.aggregate_alias, name): one for child in children for name, one in child.hoisted.items()
    }
    if node.spread == "one":
        own = {
            output.name: _HoistedFields(output.aggregate, output.aggregate_cast, output.alias)
            for output in node.outputs
            if output.aggregate is not None
        }
        plain = tuple(replace(output, aggregate=None, aggregate_cast=None) for output in node.outputs)
        passed_on = {name: one for (_, name), one in from_children.items()}
        return _Grown(replace(node, outputs=plain), {**own, **passed_on})
    embeds = tuple(_apply_hoisted(embed, from_children) for embed in node.embeds)
    return _Grown(replace(node, embeds=embeds), {})


def _apply_hoisted(embed: Embed, hoisted: Mapping[tuple[str, str], _HoistedFields]) -> Embed:
    fields = []
    for one in embed.fields:
        up = hoisted.get((embed.node.aggregate_alias, one.name))
        fields.append(one if up is None else SpreadField(one.name, up.aggregate, up.cast, up.alias))
    return replace(embed, fields=tuple(fields))


def _order_spread(grown: _Grown) -> _Grown:
    """Rows that are spread as arrays are ordered inside json_agg, by columns selected for that alone."""
    node = grown.node
    if node.spread != "many":
        return grown
    spread_fields = [one for embed in node.embeds for one in embed.fields]
    if any(output.aggregate for output in node.outputs) or any(one.aggregate for one in spread_fields):
        text = "Aggregates are not implemented for one-to-many or many-to-many spreads."
        raise errors.not_implemented(text)
    extras = tuple(
        Output(one.column, alias=f"{node.aggregate_alias}_{one.column.name}_{i}", relation=one.relation)
        for i, one in enumerate(node.order, 1)
    )
    order = tuple(
        OrderBy(ColumnRef(extra.name), one.direction, one.nulls) for extra, one in zip(extras, node.order, strict=True)
    )
    return grown._replace(node=replace(node, order=(), spread_extras=extras, spread_order=order))


def needed_columns(tree: ReadNode, primary_key: Iterable[str]) -> tuple[str, ...]:
    """What a write must return so that its answer can be selected: columns shown, joined on, and the key."""
    shown = [output.column.name for output in tree.outputs if output.column.mask is None]
    if "*" in shown or any(_is_computed(embed.node.relationship) for embed in tree.embeds):
        return ("*",)
    joined = [column for embed in tree.embeds for column in _own_columns(embed.node.relationship)]
    return tuple(dict.fromkeys([*shown, *joined, *primary_key]))


def _is_computed(relationship: Relationship | None) -> bool:
    return relationship is not None and relationship.function is not None


def _own_columns(relationship: Relationship | None) -> list[str]:
    if relationship is None:
        return []
    if relationship.junction is not None:
        return [ours for ours, _ in relationship.junction.source_columns]
    return [ours for ours, _ in relationship.columns]
