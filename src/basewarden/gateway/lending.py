"""On which terms callers share a project's connections, and what its answers may hold in memory."""

from dataclasses import dataclass
from typing import Self

from basewarden.pgrest import MemoryBudget, Terms
from basewarden.settings import Settings

POOL_SIZE = 16
_MOST_OF_ONE = POOL_SIZE // 2
# Agents together leave places for people, and people one for what is done on nobody's behalf: undo, snapshots.
_LEFT_BY_AGENTS, _LEFT_BY_MEMBERS = 3, 1
_MEGABYTE = 1_000_000
SNAPSHOT = Terms(seconds=120, most_bytes=256 * _MEGABYTE)
UNDO = Terms(most_bytes=256 * _MEGABYTE)
ASKING = Terms(seconds=10, most_bytes=_MEGABYTE)


@dataclass(frozen=True, slots=True)
class Lending:
    """`memory` is the whole process's; a project may have half of it."""

    agents: Terms
    members: Terms
    memory: MemoryBudget

    @classmethod
    def of(cls, settings: Settings) -> Self:
        most_bytes = settings.max_answer_mb * _MEGABYTE
        agents = Terms(_MOST_OF_ONE, _LEFT_BY_AGENTS, settings.agent_query_seconds, most_bytes)
        members = Terms(_MOST_OF_ONE, _LEFT_BY_MEMBERS, settings.member_query_seconds, most_bytes)
        return cls(agents, members, MemoryBudget(settings.answer_memory_mb * _MEGABYTE))

    def open_budget(self) -> MemoryBudget:
        """One project's part."""
        return MemoryBudget(self.memory.most // 2, self.memory)
