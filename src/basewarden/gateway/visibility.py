"""The snapshot as a caller with a list of tables sees it, made once for each list."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from basewarden.gateway.caller import Caller
from basewarden.gateway.policy import check_head
from basewarden.policy import VisibleNames, apply_column_rules
from pgrest import ColumnFacts, NarrowedSchema, Request, Schema, narrow_schema

if TYPE_CHECKING:
    from uuid import UUID

_MOST_KEPT = 256


class NarrowedSchemas:
    """Of one project: the most recently used."""

    def __init__(self) -> None:
        self._kept: OrderedDict[VisibleNames, tuple[Schema, NarrowedSchema]] = OrderedDict()

    def narrow(self, schema: Schema, names: VisibleNames) -> NarrowedSchema:
        kept = self._kept.get(names)
        if kept is None or kept[0] is not schema:
            kept = (schema, narrow_schema(schema, names.tables, names.functions, dict(names.columns)))
            self._kept[names] = kept
        self._kept.move_to_end(names)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return kept[1]


class RuledCallers:
    """Of one project: callers with rules about columns, each with its policy as it is on the snapshot in use."""

    def __init__(self, load_facts: Callable[[], Awaitable[ColumnFacts]]) -> None:
        self._load_facts = load_facts
        self._facts: tuple[Schema, ColumnFacts] | None = None
        self._lock = asyncio.Lock()
        self._kept: OrderedDict[UUID, tuple[Caller, Schema, Caller]] = OrderedDict()

    async def find(self, caller: Caller, schema: Schema) -> Caller:
        kept = self._kept.get(caller.id)
        if kept is None or kept[0] is not caller or kept[1] is not schema:
            policy = apply_column_rules(caller.policy, schema, await self._find_facts(schema))
            kept = self._kept[caller.id] = (caller, schema, replace(caller, policy=policy))
        self._kept.move_to_end(caller.id)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return kept[2]

    async def _find_facts(self, schema: Schema) -> ColumnFacts:
        """Read once for a snapshot, after it."""
        async with self._lock:
            if self._facts is None or self._facts[0] is not schema:
                self._facts = (schema, await self._load_facts())
            return self._facts[1]


class CallerScope:
    """What one caller's requests are planned on, and refused for before their body is read."""

    __slots__ = ("_caller", "_narrowed", "key")

    def __init__(self, caller: Caller, narrowed: NarrowedSchemas) -> None:
        self._caller = caller
        self._narrowed = narrowed
        self.key = caller.policy.names

    def narrow(self, schema: Schema) -> Schema:
        return schema if self.key is None else self._narrowed.narrow(schema, self.key)

    def check_head(self, head: Request, schema: Schema) -> None:
        """Raises ReadOnly, TableDenied or FilterRequired."""
        check_head(self._caller.policy, head, schema)
