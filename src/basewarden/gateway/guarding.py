"""The guard against exfiltration on the way of a request: what it reads is stored before it runs, and held against it.

A request is refused before it runs for the table that it names, and before its COMMIT for every table that it changed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

from basewarden.connections import AgentReads, ColumnMark, GuardOptions, ReadColumn, TableMark, WriterMark
from basewarden.gateway.caller import Caller
from basewarden.journal import RowChange, UncapturedChanges
from basewarden.policy import (
    STRANGER_ROWS,
    GuardEffects,
    GuardFacts,
    GuardMarks,
    GuardRules,
    Refused,
    format_table,
    read_name,
)
from pgrest import (
    ColumnName,
    DatabaseErrorFields,
    DatabasePlan,
    Name,
    NamedColumns,
    Schema,
    list_named_columns,
    list_reported_columns,
)


class ProjectGuard:
    """Of one project: the rules that follow from the marks and the snapshot in use."""

    def __init__(self, load_facts: Callable[[], Awaitable[GuardFacts]] | None) -> None:
        """Without `load_facts`, the owner's marks alone say who reads a table."""
        self._load_facts = load_facts
        self._lock = asyncio.Lock()
        self._facts: tuple[Schema | None, GuardFacts] | None = None
        self._rules: tuple[GuardOptions, Schema | None, GuardRules] | None = None

    def find(self, guard: GuardOptions, schema: Schema | None) -> GuardRules | None:
        """None where the catalog must be asked first."""
        kept = self._rules
        if kept is None or kept[1] is not schema:
            return None
        if kept[0] is not guard:
            if kept[0] != guard:
                return None
            self._rules = (guard, schema, kept[2])  # the same settings, read again
        return kept[2]

    async def load(self, guard: GuardOptions, schema: Schema | None) -> GuardRules:
        """The catalog is read once for a snapshot, after it. Raises DatabaseError."""
        async with self._lock:
            if self._facts is None or self._facts[0] is not schema:
                self._facts = (schema, GuardFacts() if self._load_facts is None else await self._load_facts())
            effects = GuardEffects(blocks=guard.blocks, holds=guard.holds)
            rules = GuardRules(make_marks(guard), schema, self._facts[1], effects)
            self._rules = (guard, schema, rules)
            return rules


@dataclass(slots=True)
class GuardedRequest:
    """`added` is what this request is the first to read: it was sent before it was shown that."""

    rules: GuardRules
    reads: frozenset[ColumnName]
    added: set[ColumnName] = field(default_factory=set)

    def is_known(self, caller: Caller) -> bool:
        """Whether the request reads nothing that is to be kept and is not stored yet."""
        return self.reads <= caller.reads or _respell(self.reads) <= caller.reads


class EgressGuard:
    def __init__(self, reads: AgentReads) -> None:
        self._reads = reads

    async def check_tables(self, caller: Caller, request: GuardedRequest, tables: Iterable[Name]) -> None:
        """Raises EgressBlocked where one of these tables has a wider audience than what the agent has read.

        A write that a person has approved is theirs: they saw its rows.
        """
        if caller.review is not None:
            return
        exposed = [table for table in dict.fromkeys(tables) if request.rules.find_readers(table)]
        if not exposed:
            return
        reads = await self.list_reads(caller) - request.added
        decision = request.rules.decide_write(reads, exposed)
        if isinstance(decision, Refused):
            raise decision.error

    async def check_changes(
        self,
        caller: Caller,
        request: GuardedRequest,
        changes: Iterable[RowChange],
        uncaptured: Iterable[UncapturedChanges] = (),
    ) -> None:
        """The same of what a write changed, whichever way it came about."""
        tables = [(one.schema, one.table) for one in changes]
        await self.check_tables(caller, request, [*tables, *((one.schema, one.table) for one in uncaptured)])

    async def list_reads(self, caller: Caller) -> frozenset[ColumnName]:
        """From memory for most agents: our database is asked only where what they have read may have changed lately."""
        if self._reads.is_settled(caller.id):
            return caller.reads
        return _read_columns(await self._reads.list(caller.id))

    async def close_tables(self, caller: Caller, rules: GuardRules, tables: Iterable[Name]) -> Caller:
        """The caller with those of these tables closed that have a wider audience than what it has read."""
        if caller.review is not None:
            return caller
        reads = await self.list_reads(caller)
        withheld = {table: rules.list_withheld(reads, table) for table in tables}
        closed = {table: columns for table, columns in withheld.items() if columns}
        return replace(caller, policy=replace(caller.policy, closed=closed)) if closed else caller

    async def hold(self, caller: Caller, request: GuardedRequest) -> Caller:
        """The caller as one whose write waits for an approval, if it has read rows of strangers."""
        if caller.review is not None or not request.rules.holds:
            return caller
        reads = await self.list_reads(caller) - request.added
        holding = request.rules.list_holding(reads)
        return replace(caller, holding=tuple(holding)) if holding else caller

    async def add_reads(self, caller: Caller, request: GuardedRequest) -> None:
        """Stores what the request reads, before it can read it."""
        spelled = [(format_table(table), column) for table, column in request.reads - caller.reads]
        added = await self._reads.add(caller.id, spelled)
        request.added |= {(read_name(table), column) for table, column in added}

    async def add_error(
        self, caller: Caller, request: GuardedRequest, plan: DatabasePlan, error: DatabaseErrorFields
    ) -> None:
        """Stores what the details of an error are about to show. An approved write's agent is not shown them."""
        if caller.review is None and not caller.policy.columns:
            await self.add_shown(caller, request.rules, list_reported_columns(plan, error))

    async def add_shown(self, caller: Caller, rules: GuardRules, named: NamedColumns) -> None:
        await self.add_unknown(caller, GuardedRequest(rules, rules.find_reads(named)))

    async def add_unknown(self, caller: Caller, request: GuardedRequest) -> None:
        if not request.is_known(caller):
            await self.add_reads(caller, request)


def find_reads(rules: GuardRules, plan: DatabasePlan) -> frozenset[ColumnName]:
    return rules.find_reads(list_named_columns(plan))


def make_marks(guard: GuardOptions) -> GuardMarks:
    return GuardMarks(
        sensitive=_read_columns(guard.list_columns(ColumnMark.SENSITIVE)),
        not_sensitive=_read_columns(guard.list_columns(ColumnMark.NOT_SENSITIVE)),
        public=frozenset(map(read_name, guard.list_tables(TableMark.PUBLIC))),
        not_public=frozenset(map(read_name, guard.list_tables(TableMark.NOT_PUBLIC))),
        by_strangers=frozenset(map(read_name, guard.list_written(WriterMark.STRANGERS))),
        trusted=frozenset(map(read_name, guard.list_written(WriterMark.TRUSTED))),
    )


def list_public_tables(caller: Caller) -> frozenset[Name]:
    """Those that the owner marked so."""
    guard = caller.guard
    return frozenset() if guard is None else frozenset(map(read_name, guard.list_tables(TableMark.PUBLIC)))


def spell_column(column: ColumnName) -> str:
    """`schema.table.column`, or `schema.table` of rows that strangers may have written."""
    table, name = column
    if name == STRANGER_ROWS:
        return format_table(table)
    return f"{format_table(table)}.{name}"


def _respell(columns: Iterable[ColumnName]) -> frozenset[ColumnName]:
    """As they are read back: the name of a schema with a dot in it is not the same then."""
    return frozenset((read_name(format_table(table)), name) for table, name in columns)


def _read_columns(columns: Iterable[ReadColumn]) -> frozenset[ColumnName]:
    return frozenset((read_name(table), name) for table, name in columns)
