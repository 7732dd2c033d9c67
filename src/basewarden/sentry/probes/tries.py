"""Tries as a stranger and as two made-up users to read, add, change and delete rows that are another user's.

User B owns the row that is tried; what B may do with it is the control: only where B is let in and user A is not,
has a policy kept A out. All of it is one transaction that is rolled back.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

from basewarden.policy import is_sensitive_name
from basewarden.sentry.debugger import statements
from basewarden.sentry.debugger.claims import become
from basewarden.sentry.debugger.facts import DebuggedRole
from basewarden.sentry.debugger.statements import Place
from basewarden.sentry.error_words import hide_values
from basewarden.sentry.probes.bringing import CannotBringError, RowBringer, make_insert
from basewarden.sentry.probes.facts import ProbedColumn, ProbedTable
from basewarden.sentry.probes.transaction import WriteTransaction
from basewarden.sentry.probes.values import make_value
from basewarden.sentry.rule import ProbeAttempt, ScannedObject
from basewarden.sentry.scans.probing import ProbeCaller, ProbeOutcome, RowProbe, refuse_all
from pgrest import DatabaseError, DbConnection, PgrestError, Rows, Statement, quote_ident

MOST_UNFILTERED: Final = 20
"""Rows of a table that a write without a filter is tried on."""
_ALL_SECONDS: Final = 6.0
"""After which nothing further is tried on a table."""
_EXISTING: Final = 3
"""Rows of others that are tried where none can be brought."""
_NOT_ALLOWED: Final = "42501"
_BUSY: Final = frozenset({"55P03", "57014", "40P01"})
_PASSED: Final = "Policies let it through; a constraint refused the made-up row."
_METHODS: Final = {
    ProbeAttempt.SELECT: "GET",
    ProbeAttempt.INSERT: "POST",
    ProbeAttempt.UPDATE: "PATCH",
    ProbeAttempt.DELETE: "DELETE",
    ProbeAttempt.HAND_OVER: "PATCH",
}
_WITH_ROWS: Final = (ProbeAttempt.SELECT, ProbeAttempt.UPDATE, ProbeAttempt.DELETE)


async def probe_writes(connection: DbConnection, found: ScannedObject) -> Sequence[RowProbe]:
    """Nothing of it is committed, and no value is read."""
    try:
        async with WriteTransaction.open(connection) as transaction:
            return await WriteProbes(transaction, RowBringer(transaction)).run(found)
    except DatabaseError as error:
        return refuse_all(f"The database refused ({error.sqlstate}).")
    except PgrestError as error:
        return refuse_all(error.message)


@dataclass(frozen=True, slots=True)
class MadeUpUser:
    caller: ProbeCaller
    id: str

    @property
    def role(self) -> str:
        return "anon" if self.caller is ProbeCaller.ANON else "authenticated"

    @property
    def email(self) -> str:
        return f"{self.id[:8]}@example.invalid"

    @property
    def claims(self) -> Mapping[str, Any]:
        if self.caller is ProbeCaller.ANON:
            return {"role": self.role}
        return {
            "role": self.role, "aud": self.role, "sub": self.id, "email": self.email, "aal": "aal1",
            "is_anonymous": False, "app_metadata": {}, "user_metadata": {},
        }  # fmt: skip


class WriteProbes:
    def __init__(self, transaction: WriteTransaction, bringer: RowBringer) -> None:
        self._transaction = transaction
        self._bringer = bringer
        self._anon = MadeUpUser(ProbeCaller.ANON, "")
        self._a = MadeUpUser(ProbeCaller.USER_A, str(uuid4()))
        self._b = MadeUpUser(ProbeCaller.USER_B, str(uuid4()))
        self._c = MadeUpUser(ProbeCaller.USER_B, str(uuid4()))
        """Whom rows are given that are added or handed over: B has one already, which may be all that one may have."""
        self._places: Sequence[Place] = ()
        self._is_brought = False
        self._is_small = False
        self._problem = ""
        self._until = time.monotonic() + _ALL_SECONDS

    async def run(self, found: ScannedObject) -> Sequence[RowProbe]:
        await self._bringer.open()
        try:
            probed = await self._bringer.look_at(found.schema, found.name)
        except CannotBringError as error:
            return refuse_all(error.reason)
        await self._find_rows(probed)
        probes = [
            await self._try(probed, user, attempt)
            for attempt in (*_WITH_ROWS, ProbeAttempt.INSERT)
            for user in (self._anon, self._a, self._b)
        ]
        if probed.owner_columns:
            probes.append(await self._hand_over(probed))
        return probes

    # Rows

    async def _find_rows(self, probed: ProbedTable) -> None:
        try:
            await self._bringer.bring_users(probed, [self._b.id, self._c.id, self._a.id])
            self._places = [await self._bringer.bring(probed, _own(probed, self._b))]
            self._is_brought = True
        except CannotBringError as error:
            self._problem = f"No row could be brought to try. {error.reason}"
            if probed.is_read_safely:
                self._places = await self._choose_existing(probed)
        if probed.is_read_safely:
            counted = await self._transaction.attempt([_count_few(probed)])
            self._is_small = not isinstance(counted, DatabaseError) and _number(counted) <= MOST_UNFILTERED

    async def _choose_existing(self, probed: ProbedTable) -> Sequence[Place]:
        place = "c.tableoid::pg_catalog.text, c.ctid::pg_catalog.text"
        sql = f"SELECT {place} FROM {probed.table.sql_name} AS c LIMIT {_EXISTING}"
        found = await self._transaction.attempt([Statement(sql)])
        if isinstance(found, DatabaseError):
            return ()
        return [((table or b"").decode(), (row or b"").decode()) for table, row in found.rows]

    # Tries

    async def _try(self, probed: ProbedTable, user: MadeUpUser, attempt: ProbeAttempt) -> RowProbe:
        role = next((one for one in probed.table.roles if one.name == user.role), None)
        if role is None:
            return _not_run(user.caller, attempt, f"The database has no role {user.role}.")
        if not role.may_try:
            return _not_run(user.caller, attempt, f"The login may not become {user.role}.")
        command = attempt.verb
        if not role.may_enter or not (command in role.rights or role.list_columns(command)):
            return RowProbe(user.caller, ProbeOutcome.DENIED, attempt=attempt, lacks_right=True)
        code = probed.explain_code(command)
        if code is not None:
            return _not_run(user.caller, attempt, f"{code} In “Row security” a person can try it.")
        if time.monotonic() > self._until:
            return _not_run(user.caller, attempt, "There was no time left.")
        if attempt is ProbeAttempt.INSERT:
            return await self._add(probed, user, role)
        if not self._places:
            return _not_run(user.caller, attempt, self._problem or "There is no row to try.")
        if attempt is ProbeAttempt.SELECT:
            return await self._read(probed, user, role)
        return await self._write(probed, user, role, attempt)

    async def _read(self, probed: ProbedTable, user: MadeUpUser, role: DebuggedRole) -> RowProbe:
        if "select" not in role.rights:
            return _not_run(user.caller, ProbeAttempt.SELECT, "It may read single columns only.")
        done = await self._run_as(
            probed, user, ProbeAttempt.SELECT, statements.count_places(probed.table, self._places)
        )
        if isinstance(done, DatabaseError):
            return self._explain(user, ProbeAttempt.SELECT, done)
        sensitive = [name for name in role.list_columns("select") if is_sensitive_name(name)]
        rows = _number(done)
        return self._conclude(user, ProbeAttempt.SELECT, rows, sensitive if rows else ())

    async def _write(
        self, probed: ProbedTable, user: MadeUpUser, role: DebuggedRole, attempt: ProbeAttempt
    ) -> RowProbe:
        """With a filter, for which rows must be readable; without one where the table's rows are few, and alone."""
        is_delete = attempt is ProbeAttempt.DELETE
        if is_delete and probed.table.cascades and not self._is_brought:
            return _not_run(user.caller, attempt, self._problem)
        filtered = _filtered(probed, role, attempt, self._places) if "select" in role.rights else ()
        may_touch_all = self._is_small and not (is_delete and probed.table.cascades)
        unfiltered = _unfiltered(probed, role, attempt) if may_touch_all else ()
        return await self._try_each(probed, user, attempt, [*filtered, *unfiltered], is_partial=not unfiltered)

    async def _try_each(
        self,
        probed: ProbedTable,
        user: MadeUpUser,
        attempt: ProbeAttempt,
        tried: Sequence[Statement],
        *,
        is_partial: bool,
    ) -> RowProbe:
        """The first that reaches a row; otherwise what the last one got."""
        probe = _not_run(user.caller, attempt, "Without the right to read it can choose no few rows to change.")
        for statement in tried:
            done = await self._run_as(probed, user, attempt, statement)
            if isinstance(done, DatabaseError):
                probe = self._explain(user, attempt, done, is_partial=is_partial)
            else:
                probe = self._conclude(user, attempt, _count_written(done), is_partial=is_partial)
            if probe.outcome is ProbeOutcome.ROWS:
                return probe
        return probe

    async def _add(self, probed: ProbedTable, user: MadeUpUser, role: DebuggedRole) -> RowProbe:
        """A row of another user; of B, one of their own. A policy may also ask for values, so all are filled then."""
        probe = await self._add_row(probed, user, role, is_full=False)
        is_refused = probe.outcome is ProbeOutcome.DENIED and not probe.lacks_right
        return await self._add_row(probed, user, role, is_full=True) if is_refused else probe

    async def _add_row(self, probed: ProbedTable, user: MadeUpUser, role: DebuggedRole, *, is_full: bool) -> RowProbe:
        attempt = ProbeAttempt.INSERT
        try:
            cells = await self._bringer.fill(probed, _own(probed, self._c), is_full=is_full)
        except CannotBringError as error:
            return _not_run(user.caller, attempt, f"No row could be made up. {error.reason}")
        may = role.list_columns("insert")
        left_out = [cell.column for cell in cells if cell.column not in may]
        if any(name in probed.owner_columns for name in left_out):
            reason = "It may not set whose row it is."
            return RowProbe(user.caller, ProbeOutcome.DENIED, reason=reason, attempt=attempt, lacks_right=True)
        lasting = [text for name in left_out if (text := probed.explain_default(name)) is not None]
        if lasting:
            return _not_run(user.caller, attempt, lasting[0])
        inserted = make_insert(probed, [cell for cell in cells if cell.column in may])
        who = MadeUpUser(user.caller, self._c.id) if user is self._b else user
        done = await self._run_as(probed, who, attempt, inserted)
        if isinstance(done, DatabaseError):
            return self._explain(user, attempt, done)
        return self._conclude(user, attempt, _count_written(done))

    async def _hand_over(self, probed: ProbedTable) -> RowProbe:
        """User A gives a row of their own to another."""
        user, attempt = self._a, ProbeAttempt.HAND_OVER
        role = next((one for one in probed.table.roles if one.name == user.role), None)
        if role is None or not role.may_try:
            return _not_run(user.caller, attempt, f"The login may not become {user.role}.")
        if not role.may_enter or not set(probed.owner_columns) <= set(role.list_columns("update")):
            return RowProbe(user.caller, ProbeOutcome.DENIED, attempt=attempt, lacks_right=True)
        code = probed.explain_code("update", probed.owner_columns)
        if code is not None:
            return _not_run(user.caller, attempt, f"{code} In “Row security” a person can try it.")
        try:
            place = await self._bringer.bring(probed, _own(probed, self._a))
        except CannotBringError as error:
            return _not_run(user.caller, attempt, f"No row could be brought to try. {error.reason}")
        given = _own(probed, self._c)
        sets = ", ".join(f"{quote_ident(name)} = ${number}" for number, name in enumerate(given, 1))
        params = tuple(value.encode() for value in given.values())
        table = probed.table.sql_name
        tried = [statements.set_at(probed.table, sets, params, [place])] if "select" in role.rights else []
        may_touch_all = self._is_small and not any(probed.find_column(name).is_unique for name in given)
        if may_touch_all:
            tried.append(Statement(f"UPDATE {table} SET {sets}", params))
        probe = await self._try_each(probed, user, attempt, tried, is_partial=not may_touch_all)
        if probe.outcome is not ProbeOutcome.DENIED or await self._updates_own(probed, role, place):
            return probe
        return replace(probe, is_partial=True)

    async def _updates_own(self, probed: ProbedTable, role: DebuggedRole, place: Place) -> bool:
        """The control: whether user A may change the row and keep it. A check may also ask for other values."""
        for statement in _filtered(probed, role, ProbeAttempt.UPDATE, [place]):
            done = await self._run_as(probed, self._a, ProbeAttempt.UPDATE, statement)
            if not isinstance(done, DatabaseError) and _count_written(done):
                return True
        return False

    # What came of them

    async def _run_as(
        self, probed: ProbedTable, user: MadeUpUser, attempt: ProbeAttempt, statement: Statement
    ) -> Rows | DatabaseError:
        table = probed.table
        api = become(user.role, user.claims, table.schema, _METHODS[attempt], f"/{table.name}")
        return await self._transaction.attempt([*api, statement])

    def _conclude(
        self,
        user: MadeUpUser,
        attempt: ProbeAttempt,
        rows: int,
        sensitive: Sequence[str] = (),
        *,
        is_partial: bool = False,
    ) -> RowProbe:
        outcome = ProbeOutcome.ROWS if rows else ProbeOutcome.NONE
        return RowProbe(user.caller, outcome, rows, sensitive, None, attempt, self._is_brought, is_partial)

    def _explain(
        self, user: MadeUpUser, attempt: ProbeAttempt, error: DatabaseError, *, is_partial: bool = False
    ) -> RowProbe:
        if error.sqlstate == _NOT_ALLOWED:
            return RowProbe(user.caller, ProbeOutcome.DENIED, attempt=attempt, is_partial=is_partial)
        if error.sqlstate in _BUSY:
            return _not_run(user.caller, attempt, "The table was busy, or it took too long.")
        if error.sqlstate.startswith("23"):
            return RowProbe(user.caller, ProbeOutcome.ERROR, attempt=attempt, reason=_PASSED)
        reason = hide_values(error) or f"The database refused with the error {error.sqlstate}."
        return RowProbe(user.caller, ProbeOutcome.ERROR, attempt=attempt, reason=reason)


def _own(probed: ProbedTable, user: MadeUpUser) -> Mapping[str, str]:
    return {name: user.email if "mail" in name.lower() else user.id for name in probed.owner_columns}


def _filtered(
    probed: ProbedTable, role: DebuggedRole, attempt: ProbeAttempt, places: Sequence[Place]
) -> Sequence[Statement]:
    if attempt is ProbeAttempt.DELETE:
        return [statements.delete_rows(probed.table, places)]
    column = _choose_column(probed, role)
    return [] if column is None else [statements.touch_rows(probed.table, column.name, places)]


def _unfiltered(probed: ProbedTable, role: DebuggedRole, attempt: ProbeAttempt) -> Sequence[Statement]:
    if attempt is ProbeAttempt.DELETE:
        return [statements.delete_rows(probed.table, None)]
    column = _choose_column(probed, role)
    if column is None or column.is_unique or column.name in probed.facts.followed:
        return []
    start = f"UPDATE {probed.table.sql_name} SET {quote_ident(column.name)} = "
    if not column.is_not_null:
        return [Statement(f"{start}NULL")]
    value = make_value(probed, column, 0)
    return [] if value is None else [Statement(f"{start}$1", (value.encode(),))]


def _choose_column(probed: ProbedTable, role: DebuggedRole) -> ProbedColumn | None:
    """One that neither refers to other rows nor is referred to, where there is one, and that may be empty."""
    linked = {name for key in probed.facts.keys for name in key.columns} | set(probed.owner_columns)
    may = role.list_columns("update")
    filled = {one.name for one in probed.table.columns if one.is_filled}
    able = [one for one in probed.facts.columns if one.name in may and one.name not in filled]
    able.sort(key=lambda one: (one.is_unique, one.name in linked, one.is_not_null))
    return able[0] if able else None


def _count_few(probed: ProbedTable) -> Statement:
    few = f"SELECT FROM {probed.table.sql_name} LIMIT {MOST_UNFILTERED + 1}"
    return Statement(f"SELECT pg_catalog.count(*) FROM ({few}) AS few")


def _count_written(rows: Rows) -> int:
    return int(rows.tag.rpartition(" ")[2] or 0)


def _number(rows: Rows) -> int:
    return int(rows.rows[0][0] or b"0")


def _not_run(caller: ProbeCaller, attempt: ProbeAttempt, reason: str) -> RowProbe:
    return RowProbe(caller, ProbeOutcome.NOT_RUN, reason=reason, attempt=attempt)
