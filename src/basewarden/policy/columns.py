"""What follows in one database from rules about columns: what else shows their values, and is refused with them.

A column that is generated from a hidden one is hidden. A view that reads one is no table of the caller's; nor is a
table whose hidden column is not there any more, since it may have another name now, nor what may be a table with hidden
columns under another name. What a constraint or a foreign key compares with a hidden column may not be written, since
whether the write succeeds would tell its value.
"""

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from basewarden.policy.model import Policy, WriteGuards
from pgrest import CHANGES_CHILDREN, ColumnFacts, ColumnGroup, ColumnRules, ForeignKey, Name, Schema, ViewFacts

_NO_RULES = ColumnRules()


def apply_column_rules(policy: Policy, schema: Schema, facts: ColumnFacts) -> Policy:
    """The policy as it is on this snapshot. Without this step, a policy with rules about columns allows nothing."""
    rules = _spread_rules(policy.columns, schema, facts)
    lost = _find_lost(policy.columns, schema, facts)
    refused = _find_refused(rules, policy.functions or frozenset(), facts, lost)
    tables = frozenset(schema.tables) if policy.tables is None else policy.tables
    return replace(policy, tables=tables - refused, columns=rules, guards=_make_guards(rules, schema, facts))


# Which columns are hidden ---------------------------------------------------------------------------------


def _spread_rules(given: Mapping[Name, ColumnRules], schema: Schema, facts: ColumnFacts) -> dict[Name, ColumnRules]:
    """To parents and children, which have the same rows, and to generated columns; until nothing is added."""
    rules = dict(given)
    is_changed = True
    while is_changed:
        before = dict(rules)
        for child, parent in facts.families:
            shared = _join(rules.get(child, _NO_RULES), rules.get(parent, _NO_RULES))
            for name in (child, parent):
                _add(rules, schema, name, shared)
        for one in facts.generated:
            known = rules.get(one.table, _NO_RULES)
            if one.sources & known.denied:
                _add(rules, schema, one.table, ColumnRules(denied=frozenset({one.column})))
            elif one.sources & known.masked:
                _add(rules, schema, one.table, ColumnRules(masked=frozenset({one.column})))
        is_changed = rules != before
    return rules


def _join(left: ColumnRules, right: ColumnRules) -> ColumnRules:
    """Of two rules about one column the stricter counts."""
    denied = left.denied | right.denied
    return ColumnRules(denied, (left.masked | right.masked) - denied)


def _add(rules: dict[Name, ColumnRules], schema: Schema, table: Name, more: ColumnRules) -> None:
    columns = schema.tables[table].columns.keys() if table in schema.tables else frozenset[str]()
    known = ColumnRules(more.denied & columns, more.masked & columns)
    if known.hidden:
        rules[table] = _join(rules.get(table, _NO_RULES), known)


def _find_lost(given: Mapping[Name, ColumnRules], schema: Schema, facts: ColumnFacts) -> frozenset[Name]:
    """Tables that do not have a column any more that a rule names, and those that may be one that has another name now.

    With their children and parents. What has all columns that were hidden in a missing table may be that table.
    """
    lost = {
        name for name, one in given.items() if name in schema.tables and one.hidden - schema.tables[name].columns.keys()
    }
    missing = [one.hidden for name, one in given.items() if one.hidden and name not in schema.tables]
    if missing:
        lost.update(
            name
            for name, table in schema.tables.items()
            if name not in given and any(hidden <= table.columns.keys() for hidden in missing)
        )
    is_changed = bool(lost)
    while is_changed:
        before = len(lost)
        for family in facts.families:
            if not lost.isdisjoint(family):
                lost.update(family)
        is_changed = len(lost) > before
    return frozenset(lost)


def _find_refused(
    rules: Mapping[Name, ColumnRules], functions: AbstractSet[Name], facts: ColumnFacts, lost: AbstractSet[Name]
) -> frozenset[Name]:
    """`lost`, and views that read a hidden column or of those, or what may show any: functions, texts, statistics."""
    refused = set(lost)
    is_changed = True
    while is_changed:
        found = {name for name, view in facts.views.items() if _shows_hidden(view, rules, functions, refused)}
        is_changed = not found <= refused
        refused |= found
    return frozenset(refused)


def _shows_hidden(
    view: ViewFacts, rules: Mapping[Name, ColumnRules], functions: AbstractSet[Name], refused: AbstractSet[Name]
) -> bool:
    if view.may_show_any or not view.functions <= functions:
        return True
    for relation, column in view.columns:
        hidden = rules.get(relation, _NO_RULES).hidden
        if relation in refused or column in hidden or (hidden and view.uses_whole_rows):
            return True
    return False


# What may not be written ----------------------------------------------------------------------------------

_Columns = dict[Name, set[str]]


@dataclass(slots=True)
class _Guarded:
    unwritable: _Columns = field(default_factory=lambda: defaultdict(set))
    unchangeable: _Columns = field(default_factory=lambda: defaultdict(set))
    no_insert: set[Name] = field(default_factory=set)
    no_delete: set[Name] = field(default_factory=set)

    def count(self) -> int:
        columns = (*self.unwritable.values(), *self.unchangeable.values())
        return sum(map(len, columns)) + len(self.no_insert) + len(self.no_delete)


def _make_guards(rules: Mapping[Name, ColumnRules], schema: Schema, facts: ColumnFacts) -> WriteGuards:
    guarded = _Guarded()
    for group in facts.groups:
        _guard_group(guarded, group, rules, schema)
    keys = [key for table in schema.tables.values() for key in table.foreign_keys_out]
    before = -1
    while guarded.count() != before:
        before = guarded.count()
        for key in keys:
            _guard_key(guarded, key, rules)
        for child, parent in facts.families:
            _share(guarded, child, parent)
    return WriteGuards(
        _freeze(guarded.unwritable),
        _freeze(guarded.unchangeable),
        frozenset(guarded.no_insert),
        frozenset(guarded.no_delete),
    )


def _freeze(columns: _Columns) -> dict[Name, frozenset[str]]:
    return {name: frozenset(found) for name, found in columns.items() if found}


def _guard_group(guarded: _Guarded, group: ColumnGroup, rules: Mapping[Name, ColumnRules], schema: Schema) -> None:
    """Where it is unique, an insert is compared too: it gives every column a value, by default if not by name."""
    hidden = rules.get(group.table, _NO_RULES).hidden
    known = schema.tables[group.table].columns if group.table in schema.tables else {}
    columns = frozenset(known) if group.columns is None else group.columns
    if hidden & columns:
        guarded.unwritable[group.table] |= columns - hidden
        if group.is_unique:
            guarded.no_insert.add(group.table)


def _guard_key(guarded: _Guarded, key: ForeignKey, rules: Mapping[Name, ColumnRules]) -> None:
    """A key compares its columns on both sides; and what it changes by itself is written as well."""
    child, parent = key.table, key.ref_table
    ours, theirs = rules.get(child, _NO_RULES).hidden, rules.get(parent, _NO_RULES).hidden
    if not ours.isdisjoint(key.columns) or not theirs.isdisjoint(key.ref_columns):
        guarded.unwritable[child] |= set(key.columns) - ours
        guarded.unchangeable[parent] |= set(key.ref_columns) - theirs
        guarded.no_delete.add(parent)
    fixed = ours | guarded.unwritable[child] | guarded.unchangeable[child]
    if key.on_update in CHANGES_CHILDREN and not fixed.isdisjoint(key.columns):
        guarded.unchangeable[parent] |= set(key.ref_columns) - theirs
    if key.on_delete == "CASCADE":
        if child in guarded.no_delete:
            guarded.no_delete.add(parent)
    elif key.on_delete in CHANGES_CHILDREN and not fixed.isdisjoint(key.set_columns or key.columns):
        guarded.no_delete.add(parent)


def _share(guarded: _Guarded, child: Name, parent: Name) -> None:
    """The rows of a partition are written under the name of its parent, too."""
    for columns in (guarded.unwritable, guarded.unchangeable):
        both = columns[child] | columns[parent]
        columns[child] |= both
        columns[parent] |= both
    for tables in (guarded.no_insert, guarded.no_delete):
        if child in tables or parent in tables:
            tables |= {child, parent}
