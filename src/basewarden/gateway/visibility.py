"""The snapshot as a caller with a list of tables sees it, made once for each list."""

from collections import OrderedDict

from basewarden.gateway.policy import split_tables
from pgrest import NarrowedSchema, Schema, narrow_schema

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
