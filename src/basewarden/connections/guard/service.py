"""Changes the guard's settings of a connection. They hold from the next request of every agent on."""

from collections.abc import Callable
from datetime import UTC, datetime

from basewarden.accounts import ReauthRequired
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.connections.agent_checks import AgentChecks
from basewarden.connections.callers import Membership
from basewarden.connections.guard.values import GuardOptions, is_weaker, read_guard
from basewarden.connections.queries import lock_connection, update_connection
from basewarden.connections.stops import CONNECTION_STATE_TOPIC
from basewarden.db import Listener, WriteSession
from basewarden.errors import NotFound

MakeGuard = Callable[[GuardOptions], GuardOptions]
"""The settings as they are to be, of those that are known."""
_PART = "guard"
"""The part of the connection's settings that it is."""


class GuardSettings:
    def __init__(self, listener: Listener, checks: AgentChecks, audit: Audit) -> None:
        self._listener = listener
        self._checks = checks
        self._audit = audit

    async def change(
        self,
        session: WriteSession,
        member: Membership,
        make: MakeGuard,
        client_info: ClientInfo,
        *,
        is_confirmed: bool,
    ) -> GuardOptions:
        """`make` is given the settings as they are once no one else can change them.

        Marks that are there already are not checked again: what they name may have been dropped.
        Raises ReauthRequired where agents may write more afterwards and the member's identity is not confirmed.
        """
        await self._check(member, make(read_guard(member.connection)))
        connection = await lock_connection(session, member.connection.id)
        if connection is None:
            raise NotFound
        known = read_guard(connection)
        wanted = make(known)
        if is_weaker(known, wanted) and not is_confirmed:
            raise ReauthRequired
        if known != wanted:
            await self._store(session, member, connection.changed_at, wanted, client_info)
        return wanted

    async def _check(self, member: Membership, wanted: GuardOptions) -> None:
        known = read_guard(member.connection)
        columns = {
            table: [name for name in marks if name not in known.columns.get(table, {})]
            for table, marks in wanted.columns.items()
        }
        await self._checks.check_marks(
            member.connection.id,
            {table: names for table, names in columns.items() if names},
            [table for table in sorted({*wanted.tables, *wanted.writers}) if not known.marks_table(table)],
        )

    async def _store(
        self,
        session: WriteSession,
        member: Membership,
        changed_at: dict[str, str],
        wanted: GuardOptions,
        client_info: ClientInfo,
    ) -> None:
        connection_id = member.connection.id
        values = {
            "guard": wanted.mode,
            "guard_columns": wanted.columns,
            "guard_tables": wanted.tables,
            "guard_strangers": wanted.strangers,
            "guard_writers": wanted.writers,
            "changed_at": changed_at | {_PART: datetime.now(UTC).isoformat()},
        }
        await update_connection(session, connection_id, values)
        await self._listener.announce(session, CONNECTION_STATE_TOPIC, str(connection_id))
        details = {"name": member.connection.name, "connection": str(connection_id)}
        kind = EventKind.GUARD_CHANGED if wanted.blocks else EventKind.GUARD_TURNED_OFF
        await self._audit.record(session, AccountEvent(member.person.audit_id, kind, client_info, details))
