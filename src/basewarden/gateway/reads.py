"""Reads that were planned before: agents and pages ask the same again, and planning costs more than running."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from basewarden.pgrest import CallPlan, ReadPlan, Request, Schema, Script

MOST_KEPT = 512


@dataclass(frozen=True, slots=True)
class PreparedRead:
    """Good for the snapshot it was planned on, and for one caller: the script holds the caller's role and claims."""

    schema: Schema
    request: Request
    plan: ReadPlan | CallPlan
    script: Script


class PreparedReads:
    """The most recently used ones of one project."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, PreparedRead] = OrderedDict()

    def find(self, key: Hashable, schema: Schema) -> PreparedRead | None:
        found = self._kept.get(key)
        if found is None or found.schema is not schema:
            return None
        self._kept.move_to_end(key)
        return found

    def keep(self, key: Hashable, prepared: PreparedRead) -> None:
        self._kept[key] = prepared
        self._kept.move_to_end(key)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
