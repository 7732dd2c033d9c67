"""The snapshot as a caller with a list of tables sees it, made once for each list."""

from collections import OrderedDict

from basewarden.gateway.caller import Caller
from basewarden.gateway.policy import check_head, split_tables
from pgrest import NarrowedSchema, Request, Schema, narrow_schema

_MOST_KEPT = 256


class NarrowedSchemas:
    """Of one project: the most recently used."""

    def __init__(self) -> None:
        self._kept: OrderedDict[frozenset[str], tuple[Schema, NarrowedSchema]] = OrderedDict()

    def narrow(self, schema: Schema, allowed: frozenset[str]) -> NarrowedSchema:
        kept = self._kept.get(allowed)
        if kept is None or kept[0] is not schema:
            kept = (schema, narrow_schema(schema, *split_tables(allowed)))
            self._kept[allowed] = kept
        self._kept.move_to_end(allowed)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return kept[1]


class CallerScope:
    """What one caller's requests are planned on, and refused for before their body is read."""

    __slots__ = ("_caller", "_narrowed", "key")

    def __init__(self, caller: Caller, narrowed: NarrowedSchemas) -> None:
        self._caller = caller
        self._narrowed = narrowed
        self.key = caller.tables

    def narrow(self, schema: Schema) -> Schema:
        return schema if self.key is None else self._narrowed.narrow(schema, self.key)

    def check_head(self, head: Request, schema: Schema) -> None:
        """Raises ReadOnly, TableDenied or FilterRequired."""
        check_head(self._caller, head, schema)
