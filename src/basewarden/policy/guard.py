"""The guard against exfiltration: after reading sensitive columns, an agent may not write where more people read.

What is sensitive follows from the owner's marks and from names; who reads a table from marks and the catalog. Where the
owner wants it, what an agent writes after reading rows that strangers may have written is held for an approval. Pure.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from basewarden.policy.decisions import ALLOWED, Decision, Refused
from basewarden.policy.errors import EgressBlocked
from basewarden.policy.sensitive_names import is_birth_name, is_sensitive_name
from pgrest import (
    ALL_COLUMNS,
    AudienceFacts,
    ColumnFacts,
    ColumnName,
    Name,
    NamedColumns,
    Readers,
    Schema,
    ViewFacts,
)

STRANGER_ROWS = ""
"""In place of a column that was read: rows of the table that strangers may have written."""
_ANYONE = "anyone"
"""The readers of a table that the owner marked as public."""
_SIGNED_IN, _STRANGER = "authenticated", "anon"
_BOOLEAN, _DATE, _INTERVAL, _NUMBER, _ENUM = "B", "D", "T", "N", "E"
_PLAIN = frozenset({_BOOLEAN, _DATE, _INTERVAL, _NUMBER})
_WORDLESS_TYPES = frozenset({"uuid", "inet", "cidr", "macaddr"})
_NO_COLUMN_FACTS, _NO_AUDIENCE_FACTS = ColumnFacts({}, (), (), ()), AudienceFacts({}, {})
_NO_READERS = Readers(frozenset(), frozenset())


@dataclass(frozen=True)
class GuardMarks:
    """What the owner of a connection says of its columns and tables, which counts for more than everything else."""

    sensitive: frozenset[ColumnName] = frozenset()
    not_sensitive: frozenset[ColumnName] = frozenset()
    public: frozenset[Name] = frozenset()
    not_public: frozenset[Name] = frozenset()
    by_strangers: frozenset[Name] = frozenset()
    trusted: frozenset[Name] = frozenset()


class _Family(NamedTuple):
    """The tables that share rows with a table: those that it is a part of, and its own parts."""

    above: tuple[Name, ...]
    below: tuple[Name, ...]


@dataclass(frozen=True)
class GuardEffects:
    """What the guard does: refuses writes after sensitive reads, holds them after rows of strangers."""

    blocks: bool = True
    holds: bool = False


@dataclass(frozen=True)
class GuardFacts:
    """What the catalog says beside a snapshot. Over a project's API none of it is known."""

    columns: ColumnFacts = _NO_COLUMN_FACTS
    audience: AudienceFacts = _NO_AUDIENCE_FACTS


_BLOCKS = GuardEffects()


class GuardRules:
    """Marks on one snapshot. Each table is looked at when it is first asked for."""

    def __init__(
        self, marks: GuardMarks, schema: Schema | None, facts: GuardFacts, effects: GuardEffects = _BLOCKS
    ) -> None:
        self._marks = marks
        self._effects = effects
        self._tables = {} if schema is None else schema.tables
        self._functions = {} if schema is None else schema.functions
        self._facts = facts
        self._families: dict[Name, _Family] = {}
        self._known: dict[ColumnName, bool] = {}
        self._readers: dict[Name, frozenset[str]] = {}
        self._by_strangers: dict[ColumnName, bool] = {}

    def find_reads(self, named: NamedColumns) -> frozenset[ColumnName]:
        """What is to be kept of a request's reads.

        A masked column counts, though its value is not shown, but where the owner says that it is not sensitive. Of a
        table that is not known, what is shown may be of each that is marked.
        """
        found = set[ColumnName]()
        if self._effects.blocks:
            found |= self.find_sensitive(named.learned) | (named.masked - self._marks.not_sensitive)
            found |= {one for one in self._marks.sensitive if named.unplaced & {one[1], ALL_COLUMNS}}
            found = set(map(self._spell_for_keeping, found))
        if self._effects.holds:
            shown = {(table, name) for table in self._marks.by_strangers for name in named.unplaced} | named.shown
            found.update((table, STRANGER_ROWS) for table in self._list_by_strangers(shown))
        return frozenset(found)

    def _spell_for_keeping(self, column: ColumnName) -> ColumnName:
        """Names that a request makes up, as the keys of a JSON value, are not kept one by one: they may be many."""
        table, name = column
        known = self._tables[table].columns if table in self._tables else self._facts.audience.results.get(table, ())
        if name in known or column in self._marks.sensitive or column in self._generated:
            return column
        return (table if self._is_known(table) else (table[0], ALL_COLUMNS)), ALL_COLUMNS

    def _is_known(self, table: Name) -> bool:
        """Whether there is such a table or function. Where none is listed, any may be."""
        return (
            table in self._tables
            or table in self._facts.audience.results
            or table in self._functions
            or not self._tables
        )

    def find_sensitive(self, named: Iterable[ColumnName]) -> frozenset[ColumnName]:
        """The sensitive ones of the columns that a request names."""
        return frozenset(one for given in named for one in self._spell_out(given) if self.is_sensitive(one))

    def is_sensitive(self, column: ColumnName) -> bool:
        known = self._known.get(column)
        if known is None:
            self._known[column] = False  # while it is being worked out, for definitions that lead back to themselves
            known = self._known[column] = self._decide(column)
        return known

    def is_named_so(self, column: ColumnName) -> bool:
        """Whether its name says so, whatever the owner marked.

        A yes or no is no such value, and of dates only that of a birth is one.
        """
        name, category = column[1], self._find_category(column)
        if category in (_DATE, _INTERVAL):
            return is_birth_name(name)
        return category != _BOOLEAN and is_sensitive_name(name)

    def is_decided(self, column: ColumnName) -> bool:
        """Whether the column is sensitive, or marked as not so, without a look at its values."""
        return column in self._marks.not_sensitive or self.is_sensitive(column)

    def decide_write(self, reads: Collection[ColumnName], tables: Iterable[Name]) -> Decision:
        """Whether an agent that has read these columns may write to these tables."""
        for table in tables if self._effects.blocks else ():
            withheld = self.list_withheld(reads, table)
            if withheld:
                return Refused(EgressBlocked(withheld))
        return ALLOWED

    def list_withheld(self, reads: Collection[ColumnName], table: Name) -> Sequence[ColumnName]:
        """Those of the columns read that some reader of the table may not know. A mark counts for more than rights."""
        kept = [one for one in reads if one[1] != STRANGER_ROWS and one not in self._marks.not_sensitive]
        readers = self.find_readers(table)
        return [one for one in kept if any(self._is_withheld(one, role) for role in readers)]

    def find_readers(self, table: Name) -> frozenset[str]:
        """The wider audience of a table: who reads it directly, through a view, or as a part of another table."""
        if table not in self._readers:
            self._readers[table] = self._list_readers(table)
        return self._readers[table]

    @property
    def holds(self) -> bool:
        return self._effects.holds

    def list_holding(self, reads: Collection[ColumnName]) -> Sequence[Name]:
        """The tables of strangers' rows among what was read, for which a write is held."""
        if not self._effects.holds:
            return ()
        return sorted(table for table, column in reads if column == STRANGER_ROWS and not self._is_trusted(table))

    def find_written_by_strangers(self, table: Name) -> frozenset[str]:
        """The columns of a table that strangers may have written, and that can hold words."""
        return frozenset(
            name for _, name in self._spell_out((table, ALL_COLUMNS)) if self.is_by_strangers((table, name))
        )

    def is_by_strangers(self, column: ColumnName) -> bool:
        known = self._by_strangers.get(column)
        if known is None:
            self._by_strangers[column] = False  # as above
            known = self._by_strangers[column] = self._may_be_by_strangers(column)
        return known

    # Sensitive columns -------------------------------------------------------------------------------

    def _spell_out(self, given: ColumnName) -> Iterator[ColumnName]:
        table, column = given
        if column != ALL_COLUMNS:
            yield given
            return
        known = self._tables.get(table)
        columns = known.columns if known is not None else self._facts.audience.results.get(table, (table[1],))
        marked = (name for owner, name in self._marks.sensitive if owner == table)
        yield from ((table, name) for name in (*columns, *marked))

    def _decide(self, column: ColumnName) -> bool:
        table, name = column
        for one in (table, *self._list_family(table)):
            if (one, name) in self._marks.not_sensitive:
                return False
            if (one, name) in self._marks.sensitive:
                return True
        if self.is_named_so(column):
            return True
        if any(self.is_sensitive((table, source)) for source in self._generated.get(column, ())):
            return True
        view = self._facts.columns.views.get(table)
        return view is not None and self._may_come_from_sensitive(view, table, name)

    def _find_category(self, column: ColumnName) -> str:
        table, name = column
        known = self._tables[table].columns.get(name) if table in self._tables else None
        return "" if known is None else known.category

    def _may_come_from_sensitive(self, view: ViewFacts, table: Name, name: str) -> bool:
        """A column of a view that has the name of a harmless one which the view reads is taken for that.

        A number that is made of texts is no copy of one.
        """
        read = frozenset(self._list_read(view))
        sensitive = frozenset(filter(self.is_sensitive, read))
        harmless = {column for _, column in read - sensitive}
        if not sensitive or name in harmless:
            return False
        own = self._find_category((table, name))
        return own not in _PLAIN or own in map(self._find_category, sensitive)

    def _list_read(self, view: ViewFacts) -> Iterator[ColumnName]:
        for table, column in view.columns:
            if column is not None:
                yield table, column
            if view.uses_whole_rows:
                yield from self._spell_out((table, ALL_COLUMNS))

    @cached_property
    def _generated(self) -> Mapping[ColumnName, frozenset[str]]:
        """Computed columns are among them."""
        stored = {(one.table, one.column): one.sources for one in self._facts.columns.generated}
        return {**self._facts.audience.computed, **stored}

    # Columns that strangers write ----------------------------------------------------------------------

    def _list_by_strangers(self, shown: Iterable[ColumnName]) -> Iterator[Name]:
        return (one[0] for given in shown for one in self._spell_out(given) if self.is_by_strangers(one))

    def _may_be_by_strangers(self, column: ColumnName) -> bool:
        table, name = column
        family = (table, *self._list_family(table))
        if self._is_wordless(column) or self._is_trusted(table):
            return False
        if not self._marks.by_strangers.isdisjoint(family):
            return True
        written = self._facts.audience.written
        if any(name in written.get(one, ()) for one in family):
            return True
        if any(written.get(view) for view in self._list_views(family)):
            return True  # which of the view's columns this one is, is not known
        if any(self.is_by_strangers((table, source)) for source in self._generated.get(column, ())):
            return True
        view = self._facts.columns.views.get(table)
        return view is not None and any(map(self.is_by_strangers, self._list_read(view)))

    def _is_trusted(self, table: Name) -> bool:
        """What is said of a table holds for its parts."""
        return not self._marks.trusted.isdisjoint((table, *self._find_family(table).above))

    def _is_wordless(self, column: ColumnName) -> bool:
        """A number, a date or an id tells an agent nothing to do."""
        table, name = column
        known = self._tables[table].columns.get(name) if table in self._tables else None
        if known is None:
            return False
        return known.category in _PLAIN or known.category == _ENUM or known.base_type in _WORDLESS_TYPES

    # Readers --------------------------------------------------------------------------------------------

    def _list_readers(self, table: Name) -> frozenset[str]:
        family = (table, *self._list_family(table))
        found = frozenset[str]().union(*map(self._list_own_readers, (*family, *self._list_views(family))))
        return frozenset() if table in self._marks.not_public else found

    def _list_own_readers(self, table: Name) -> frozenset[str]:
        if table in self._marks.not_public:
            return frozenset()
        readers = self._facts.audience.tables.get(table, _NO_READERS)
        roles = frozenset[str]() if readers.is_invoker_view else readers.roles
        return roles | {_ANYONE} if table in self._marks.public else roles

    def _is_withheld(self, column: ColumnName, role: str) -> bool:
        return column in self._marks.sensitive or not self._shows(column[0], role)

    def _shows(self, table: Name, role: str) -> bool:
        """Whether these readers read the table anyway. People who sign in may be shown only what is their own of it."""
        if table in self._marks.public:
            return True
        readers = self._facts.audience.tables.get(table, _NO_READERS)
        if readers.is_invoker_view:
            return all(self._shows(read, role) for read, _ in self._facts.columns.views[table].columns)
        if role == _SIGNED_IN:
            return role in readers.roles
        return (_STRANGER if role == _ANYONE else role) in readers.outright

    @cached_property
    def _shown_by(self) -> Mapping[Name, frozenset[Name]]:
        """By table, the views that show its rows to readers of their own."""
        return _collect(
            (table, name)
            for name, view in self._facts.columns.views.items()
            if not self._facts.audience.tables.get(name, _NO_READERS).is_invoker_view
            for table, _ in view.columns
        )

    def _list_views(self, tables: Iterable[Name]) -> frozenset[Name]:
        """The views on these tables, and the views on those."""
        return _follow(self._shown_by, tables)

    # Families --------------------------------------------------------------------------------------------

    def _list_family(self, table: Name) -> tuple[Name, ...]:
        """What is written to one of these may be read under the name of another."""
        return self._find_family(table).above + self._find_family(table).below

    def _find_family(self, table: Name) -> _Family:
        if table not in self._families:
            above, below = (_follow(links, [table]) for links in (self._parents, self._children))
            self._families[table] = _Family(tuple(sorted(above)), tuple(sorted(below)))
        return self._families[table]

    @cached_property
    def _parents(self) -> Mapping[Name, frozenset[Name]]:
        return _collect(self._facts.columns.families)

    @cached_property
    def _children(self) -> Mapping[Name, frozenset[Name]]:
        return _collect((parent, child) for child, parent in self._facts.columns.families)


def _collect(pairs: Iterable[tuple[Name, Name]]) -> Mapping[Name, frozenset[Name]]:
    found: dict[Name, set[Name]] = defaultdict(set)
    for one, other in pairs:
        found[one].add(other)
    return {name: frozenset(names) for name, names in found.items()}


def _follow(links: Mapping[Name, frozenset[Name]], start: Iterable[Name]) -> frozenset[Name]:
    """What is reached from these, over any number of steps."""
    found = set[Name]()
    waiting = list(start)
    while waiting:
        reached = links.get(waiting.pop(), frozenset()) - found
        found |= reached
        waiting += reached
    return frozenset(found)
