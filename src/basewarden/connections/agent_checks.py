"""Checks of what an agent is given: that the project has it, and that requests can run as its role."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from basewarden.connections.models import RPC, Connection
from basewarden.connections.probe import ServerFacts
from basewarden.connections.service import Connections, check_db_role
from basewarden.errors import Invalid

FindMissingTables = Callable[[UUID, Sequence[str]], Awaitable[Sequence[str]]]
"""Returns which of these tables and functions a project does not have; raises AppError if it is unreachable."""


FindMissingColumns = Callable[[UUID, Mapping[str, Iterable[str]]], Awaitable[Sequence[str]]]
"""The same of columns by table, as `schema.table.column`."""


class AgentChecks:
    """The project may hang: no lock is held meanwhile."""

    def __init__(
        self, connections: Connections, find_unknown: FindMissingTables, find_unknown_columns: FindMissingColumns
    ) -> None:
        self._connections = connections
        self._find_missing_tables = find_unknown
        self._find_missing_columns = find_unknown_columns

    async def check_role(
        self, connection: Connection, person_id: UUID, db_role: str | None, claims: Mapping[str, Any] | None
    ) -> None:
        """Checks the agent's role. Through a project's API, every request has the role and claims of the key."""
        if not connection.is_direct:
            given = {"dbRole": db_role, "claims": claims}
            text = "This needs a Postgres connection string; without one, the project's key decides."
            if any(given.values()):
                raise Invalid(details=[{"field": name, "message": text} for name, value in given.items() if value])
        elif db_role is not None:
            facts = await self._connections.check(connection, person_id)
            assert isinstance(facts, ServerFacts)
            check_db_role(facts, db_role)

    async def check_names(
        self, connection: Connection, tables: Collection[str], functions: Collection[str] | None
    ) -> None:
        """Rejects unknown tables: a misspelt name would grant access to any table created later under that name.

        `tables` may hold functions too, as `rpc/close_order`.
        """
        called = [RPC + name for name in functions or ()]
        names = [*tables, *called]
        unknown = set(await self._find_missing_tables(connection.id, names)) if names else set()
        missing = [name for name in tables if name in unknown]
        if missing:
            raise Invalid.field("tables", f"The project has no table named: {', '.join(missing)}.")
        missing = [name.removeprefix(RPC) for name in called if name in unknown]
        if missing:
            raise Invalid.field("functions", f"The project has no function named: {', '.join(missing)}.")

    async def check_marks(
        self, connection_id: UUID, columns: Mapping[str, Iterable[str]], tables: Collection[str]
    ) -> None:
        """Rejects unknown columns and tables: a mark with a misspelt name would protect nothing."""
        unknown = await self._find_missing_columns(connection_id, columns) if columns else ()
        if unknown:
            raise Invalid.field("columns", f"The project has no column named: {', '.join(unknown)}.")
        missing = await self._find_missing_tables(connection_id, list(tables)) if tables else ()
        if missing:
            raise Invalid.field("tables", f"The project has no table named: {', '.join(missing)}.")

    async def check_columns(self, connection: Connection, columns: Mapping[str, Iterable[str]] | None) -> None:
        """Rejects unknown columns: a misspelt name would hide nothing."""
        if not columns:
            return
        if not connection.is_direct:
            text = "This needs a Postgres connection string: a project's API does not say what its views read."
            raise Invalid.field("columns", text)
        unknown = await self._find_missing_columns(connection.id, columns)
        if unknown:
            raise Invalid.field("columns", f"The project has no column named: {', '.join(unknown)}.")
