"""Changes agents: only what is sent changes, from the agent's next request on, in every process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from basewarden.accounts import ReauthRequired
from basewarden.audit import Audit, ClientInfo, EventKind
from basewarden.connections import queries
from basewarden.connections.agent_checks import AgentChecks
from basewarden.connections.agent_events import make_agent_event
from basewarden.connections.agent_widening import is_wider
from basewarden.connections.agents import AGENT_TOPIC, AgentCaller, make_caller, store_reach
from basewarden.connections.callers import Membership
from basewarden.connections.models import RPC, Access, Agent
from basewarden.connections.schemas import AgentChange, AgentCreate, check_table_access
from basewarden.db import Database, Listener, WriteSession
from basewarden.errors import Invalid, NotFound

_REACH = frozenset({"tables", "functions", "columns"})
_STORED_IN_PARTS = {"read_tables": "tables"}
_UNORDERED = frozenset({"tables", "read_tables", "functions"})
ColumnsByTable = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class AgentEdit:
    """`values` are the new ones by column, of what differs only."""

    agent_id: UUID
    wanted: AgentChange
    values: Mapping[str, Any]
    before: AgentCaller
    after: AgentCaller

    @property
    def is_widening(self) -> bool:
        return is_wider(self.before, self.after)

    @property
    def fields(self) -> list[str]:
        """Names what changes as the API does."""
        names = dict.fromkeys(_STORED_IN_PARTS.get(column, column) for column in self.values)
        return [AgentChange.model_fields[name].alias or name for name in names]

    def list_new_tables(self) -> list[str]:
        return [name for name in self.after.tables or () if name not in (self.before.tables or ())]

    def list_new_functions(self) -> list[str]:
        return [name for name in self.after.functions or () if name not in (self.before.functions or ())]

    def list_new_columns(self) -> ColumnsByTable:
        """Lists the rules about columns that were not there before, by table."""
        known = self.before.columns or {}
        given = {
            table: {name: rule for name, rule in rules.items() if known.get(table, {}).get(name) != rule}
            for table, rules in (self.after.columns or {}).items()
        }
        return {table: rules for table, rules in given.items() if rules}


class AgentEdits:
    def __init__(self, database: Database, listener: Listener, checks: AgentChecks, audit: Audit) -> None:
        self._database = database
        self._listener = listener
        self._checks = checks
        self._audit = audit

    async def plan(self, connection_id: UUID, agent_id: UUID, wanted: AgentChange) -> AgentEdit:
        """Compares a change with the agent as it is. Raises NotFound, also for a revoked agent."""
        async with self._database.read_only() as session:  # closed before a project is asked, which may hang
            agent = await queries.find_agent(session, connection_id, agent_id)
        if agent is None:
            raise NotFound
        return make_edit(agent, wanted)

    async def apply(
        self,
        session: WriteSession,
        member: Membership,
        edit: AgentEdit,
        client_info: ClientInfo,
        *,
        is_confirmed: bool,
    ) -> Agent:
        """Changes the agent as it is now, which another member may have changed since the plan.

        What the agent had before is not checked again. Raises ReauthRequired where it may do more afterwards and the
        member's identity is not confirmed.
        """
        await self._check(member, edit)
        agent = await queries.lock_agent(session, member.connection.id, edit.agent_id)
        if agent is None:
            raise NotFound
        current = make_edit(agent, edit.wanted)
        if current.is_widening and not is_confirmed:
            raise ReauthRequired
        if not current.values:
            return agent
        changed = await queries.update_agent(session, agent.id, current.values)
        await self._listener.announce(session, AGENT_TOPIC, str(agent.id))
        fields = ", ".join(current.fields)
        event = make_agent_event(member, EventKind.AGENT_CHANGED, changed, client_info, fields=fields)
        await self._audit.record(session, event)
        return changed

    async def _check(self, member: Membership, edit: AgentEdit) -> None:
        connection, values = member.connection, edit.values
        await self._checks.check_role(connection, member.person.id, values.get("db_role"), values.get("claims"))
        await self._checks.check_names(connection, edit.list_new_tables(), edit.list_new_functions())
        await self._checks.check_columns(connection, edit.list_new_columns())


def make_edit(agent: Agent, wanted: AgentChange) -> AgentEdit:
    """Raises Invalid where a table would have more than the agent's own access."""
    sent = wanted.model_dump(include=wanted.model_fields_set - _REACH) | _merge_reach(agent, wanted)
    values = {name: value for name, value in sent.items() if _differs(name, getattr(agent, name), value)}
    return AgentEdit(agent.id, wanted, values, make_caller(agent), make_caller(copy_with(agent, values)))


def copy_with(agent: Agent, values: Mapping[str, Any]) -> Agent:
    """The agent with other values by column; it is not stored."""
    known = {column.key: getattr(agent, column.key) for column in Agent.__table__.columns}
    return Agent(**{**known, **values})


def _merge_reach(agent: Agent, wanted: AgentChange) -> dict[str, Any]:
    """Returns the columns for what the agent may use, where any of it is sent.

    A list of tables that names functions replaces the functions too.
    """
    sent = wanted.model_fields_set & _REACH
    if not sent:
        return {}
    access = wanted.access if "access" in wanted.model_fields_set else Access(agent.access)
    tables = wanted.tables if "tables" in sent else agent.table_access
    if "tables" in sent:
        _check_tables(access, tables)
    names_functions = any(name.startswith(RPC) for name in tables or ())
    kept = None if names_functions else agent.function_names
    columns = (wanted.columns if "columns" in sent else agent.columns) or None
    functions = wanted.functions if "functions" in sent else kept
    whole = AgentCreate.model_construct(access=access, tables=tables, functions=functions, columns=columns)
    reach: dict[str, Any] = {**store_reach(whole), "columns": columns}
    return reach if "tables" in sent else {name: reach[name] for name in ("functions", "columns")}


def _check_tables(own: Access, tables: Mapping[str, Access | None] | None) -> None:
    try:
        check_table_access(own, tables)
    except ValueError as error:
        message = str(error)
        raise Invalid.field("tables", f"{message[0].upper()}{message[1:]}.") from None


def _differs(name: str, known: Any, value: Any) -> bool:
    """The order of names says nothing; nor do empty rules, claims or list of what is only read."""
    if name in _UNORDERED and known is not None and value is not None:
        return set(known) != set(value)
    if name in ("columns", "claims"):
        return (known or None) != (value or None)
    return bool(known != value)
