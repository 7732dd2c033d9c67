"""Tries a command as a caller, in a transaction that is rolled back, and asks each policy what it says.

Rows are counted. Which policy decides is found by evaluating each one for itself: a few rows are put into a setting of
the transaction, within the database, and each expression is asked about them as the caller. So the policies of other
tables count as they do in a request, and no value leaves the database.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from basewarden.sentry.debugger import statements
from basewarden.sentry.debugger.claims import become
from basewarden.sentry.debugger.facts import DebuggedPolicy
from basewarden.sentry.debugger.requests import TrialCommand, TrialRequest
from basewarden.sentry.debugger.results import AskedPart, PolicyAnswer, TrialResult
from basewarden.sentry.debugger.transactions import TrialTransaction
from basewarden.sentry.error_words import hide_values
from pgrest import DatabaseError, DbConnection, Rows, Statement

MOST_SAMPLED: Final = 20
"""Rows that a change or a delete is tried on, and policies are asked about: the first of the caller's, then others."""
_OF_CALLER: Final = 10
_ALL_SECONDS: Final = 20.0
"""After which no further policy is asked."""
_METHODS: Final = {
    TrialCommand.SELECT: "GET",
    TrialCommand.INSERT: "POST",
    TrialCommand.UPDATE: "PATCH",
    TrialCommand.DELETE: "DELETE",
}
_RAISED: Final = "P0001"
"""By a trigger, for who writes."""
_PROBLEMS: Final[Mapping[str, str]] = {
    "42501": "it calls or reads something that this role may not",
    "57014": "it took too long",
    "55P03": "it waited for a lock",
    "42P17": "it asks itself, without an end",
}


class Trial:
    def __init__(self, connection: DbConnection, request: TrialRequest, base: str | None) -> None:
        self._request = request
        self._table = request.table
        self._transaction = TrialTransaction(connection, base)
        self._places: Sequence[statements.Place] = ()
        self._result = TrialResult(request)
        self._until = time.monotonic() + _ALL_SECONDS

    async def run(self) -> TrialResult:
        """Raises DatabaseError where not even the transaction begins."""
        command = self._request.command
        await self._transaction.begin(is_read_only=command is TrialCommand.SELECT)
        self._result.missing = list_missing(self._request)
        if command is not TrialCommand.INSERT:
            await self._count_all()
            await self._take_sample()
        statement = self._make_statement()
        if statement is not None:
            await self._try(statement)
        if not self._request.role.passes:
            await self._ask_policies()
        await self._transaction.end()
        return self._result

    # What is tried ------------------------------------------------------------------------------------------

    async def _try(self, statement: Statement) -> None:
        done = await self._transaction.attempt([*self._become(), statement])
        if isinstance(done, DatabaseError):
            is_write = self._request.command is not TrialCommand.SELECT
            shown = hide_values(done, _RAISED) if is_write else hide_values(done)
            self._result.sqlstate, self._result.message = done.sqlstate, shown
        elif self._request.command is TrialCommand.SELECT:
            self._result.rows = _read_number(done)
        else:
            self._result.rows = int(done.tag.rpartition(" ")[2] or 0)

    def _make_statement(self) -> Statement | None:
        """None where a right is missing, or where it cannot be tried on a few rows: who may not read chooses none."""
        command = self._request.command
        if command is TrialCommand.SELECT:
            return statements.count_rows(self._table)
        if self._result.missing:
            return None
        if command is TrialCommand.INSERT:
            return statements.insert_row(self._table, self._request.columns, self._row)
        places = self._places if self._request.reads_too else None
        if places is None and not self._is_small():
            return None
        if command is TrialCommand.DELETE:
            return statements.delete_rows(self._table, places)
        return self._make_update(places)

    def _make_update(self, places: Sequence[statements.Place] | None) -> Statement | None:
        if self._request.columns:
            return statements.update_rows(self._table, self._request.columns, self._row, places)
        may = self._request.role.list_columns("update")
        own = next((name for name in may if not self._table.columns_by_name[name].is_filled), None)
        return statements.touch_rows(self._table, own, places) if own is not None and places is not None else None

    def _is_small(self) -> bool:
        total = self._result.total
        return bool(self._table.base_passes) and total is not None and total <= MOST_SAMPLED

    @property
    def _row(self) -> bytes:
        return self._request.row.encode()

    def _become(self) -> list[Statement]:
        path, method = f"/{self._table.name}", _METHODS[self._request.command]
        return become(self._request.role.name, self._request.claims, self._table.schema, method, path)

    # Rows ---------------------------------------------------------------------------------------------------

    async def _count_all(self) -> None:
        counted = await self._transaction.attempt([statements.count_rows(self._table)])
        self._result.total = None if isinstance(counted, DatabaseError) else _read_number(counted)

    async def _take_sample(self) -> None:
        seen = await self._transaction.attempt([*self._become(), statements.choose_places(self._table, _OF_CALLER)])
        known = await self._transaction.attempt([statements.choose_places(self._table, MOST_SAMPLED)])
        places: dict[statements.Place, None] = {}
        for found in (seen, known):
            if not isinstance(found, DatabaseError):
                places.update(dict.fromkeys((_text(row[0]), _text(row[1])) for row in found.rows))
        self._places = list(places)[:MOST_SAMPLED]
        kept = await self._transaction.keep(statements.keep_sample(self._table, self._places))
        self._result.of = 0 if isinstance(kept, DatabaseError) else _read_number(kept)

    # Policies -----------------------------------------------------------------------------------------------

    async def _ask_policies(self) -> None:
        request, command = self._request, self._request.command
        old_rows, values = statements.sampled_rows(self._table), (self._row,)
        if command is TrialCommand.INSERT:
            new_row = statements.new_row(self._table, request.columns)
            await self._ask_checks(command, new_row, values)
            return
        await self._ask_using(command, AskedPart.USING, old_rows)
        if command is not TrialCommand.SELECT and request.reads_too:
            await self._ask_using(TrialCommand.SELECT, AskedPart.READ, old_rows)
        if command is TrialCommand.UPDATE:
            changed = statements.changed_rows(self._table)
            await self._ask_checks(command, changed, values)
            if request.reads_too:
                await self._ask_using(TrialCommand.SELECT, AskedPart.CHANGED, changed, values)

    async def _ask_using(self, command: TrialCommand, part: AskedPart, rows: str, values: Sequence[bytes] = ()) -> None:
        for policy in self._table.list_policies(self._request.role.name, command):
            await self._ask(policy, part, policy.using, rows, values)

    async def _ask_checks(self, command: TrialCommand, rows: str, values: Sequence[bytes]) -> None:
        for policy in self._table.list_policies(self._request.role.name, command):
            await self._ask(policy, AskedPart.CHECK, policy.new_row_check, rows, values)

    async def _ask(
        self, policy: DebuggedPolicy, part: AskedPart, expression: str | None, rows: str, values: Sequence[bytes]
    ) -> None:
        if time.monotonic() > self._until:
            self._result.answers.append(PolicyAnswer(policy, part, None, 0, "there was no time left"))
            return
        text = expression if expression is not None else "false" if policy.is_permissive else "true"
        asked = statements.ask_expression(self._table, text, rows, values)
        found = await self._transaction.attempt([*self._become(), statements.USE_OWN_PATH, asked])
        if isinstance(found, DatabaseError):
            answer = PolicyAnswer(policy, part, None, 0, _explain_problem(found))
        else:
            of, passed = (int(value or b"0") for value in found.rows[0])
            answer = PolicyAnswer(policy, part, passed, of)
        self._result.answers.append(answer)


def list_missing(request: TrialRequest) -> Sequence[str]:
    """Privileges that the role lacks, as PostgreSQL calls them."""
    role, command = request.role, request.command.value
    missing = [] if role.may_enter else [f"USAGE on the schema {request.table.schema}"]
    if command in role.rights:
        return missing
    if not role.list_columns(command):
        return [*missing, f"{command.upper()} on {request.table.name}"]
    lacking = [name for name in request.columns if name not in role.list_columns(command)]
    return [*missing, *(f"{command.upper()} on the column {name}" for name in lacking)]


def _read_number(rows: Rows) -> int:
    return int(rows.rows[0][0] or b"0")


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def _explain_problem(error: DatabaseError) -> str:
    """Without the server's text, which may quote a value of a row."""
    return _PROBLEMS.get(error.sqlstate, f"evaluating it for itself failed ({error.sqlstate})")
