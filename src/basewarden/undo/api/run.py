"""Executes a plan in compare-and-set requests, and knows of each row what came of it.

A request is restricted to the row versions that the plan was made with. A row that has another version by then is read
and decided again; an edit of another column is still no conflict.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from basewarden.errors import AppError
from basewarden.gateway import OutcomeUnknown, SnapshotStale
from basewarden.gateway.api import QUERY_ROOM, QueryPair, UpstreamRefused
from basewarden.journal import Image
from basewarden.undo.api.batches import Batch, make_batches
from basewarden.undo.api.json_bodies import write_one, write_rows
from basewarden.undo.api.reader import SET_BY_HAND, ApiReader, explain_refusal, read_unique_key
from basewarden.undo.api.requests import UndoRequestSender
from basewarden.undo.execution.conflicts import KEPT_BY_TRIGGER, NOT_DELETED, NOT_RESTORED
from basewarden.undo.execution.verification import list_mismatched_columns, list_not_restored
from basewarden.undo.planning.choices import NO_CHOICES, Choices
from basewarden.undo.planning.components import Component
from basewarden.undo.planning.manual_edits import list_manual_edits
from basewarden.undo.planning.plan import RowPlan, UndoPlan, decide_row, make_conflict
from basewarden.undo.planning.row_reader import Key
from basewarden.undo.receipt import RowConflict
from pgrest import Name, Table, join_query, match_rows, write_name

REQUESTS_AT_ONCE = 4
MOST_TRIES = 4
_REFERENCE = "23503"
_DATES = "D"  # pg_type.typcategory of dates and times
_OUTCOME_UNKNOWN = "The outcome for this row is unknown: the response was lost."
NOT_TRIED = "The row was not attempted, because another row could not be undone."
_NOT_REACHABLE = "The row was not attempted, because the project or the journal could not be reached."
_NOT_DISABLED = "a project's API cannot disable triggers"


class ApiUndoRun:
    """`reverted` are the rows that are as planned, with their present images; `conflicts` those that are not, and why.

    `stops_at_conflict`: the first row that cannot be reverted ends the run. `halted` is why no more requests are sent.
    `learned_key` is a unique key that the API does not describe and that the database rejected a row by: the caller
    must make a new plan with it.
    """

    def __init__(
        self, reader: ApiReader, sender: UndoRequestSender, plan: UndoPlan, *, stops_at_conflict: bool
    ) -> None:
        self._reader = reader
        self._sender = sender
        self._dependencies: dict[int, list[int]] = {}
        for dependency in plan.dependencies:
            if dependency.on is not None:
                self._dependencies.setdefault(dependency.row, []).append(dependency.on)
        self._batches = make_batches(plan.rows, plan.dependencies)
        self._stops_at_conflict = stops_at_conflict
        self._deferred: list[list[int]] = []
        self._stops_deferring = False
        self._given_up: set[tuple[str, tuple[str, ...]]] = set()
        self.rows: list[RowPlan] = list(plan.rows)
        self.reverted: dict[int, Image | None] = {}
        self.conflicts: dict[int, RowConflict] = {}
        self.overwritten: Counter[tuple[str, tuple[str, ...], str]] = Counter()
        self.halted: Exception | None = None
        self.learned_key: tuple[Name, tuple[str, ...]] | None = None

    async def run(self) -> None:
        for batch in self._batches:
            if not self._is_stopped:
                await self._run_batch(batch)
        await self._retry_deferred()
        await self._restore_overwritten()
        left = [number for batch in self._batches for number in batch.numbers]
        reason = NOT_TRIED if self.halted is None else _NOT_REACHABLE
        self._refuse(
            (number for number in left if number not in self.reverted and number not in self.conflicts), reason
        )

    def list_overwritten_edits(self) -> list[RowConflict]:
        """The settled conflicts whose rows are restored."""
        return [edit for number in sorted(self.reverted) if (edit := self.rows[number].overwrites) is not None]

    @property
    def _is_stopped(self) -> bool:
        return (
            self.halted is not None
            or self.learned_key is not None
            or (self._stops_at_conflict and bool(self.conflicts))
        )

    def _refuse(self, numbers: Iterable[int], reason: str, columns: Sequence[str] = ()) -> None:
        for number in numbers:
            self.conflicts[number] = make_conflict(self.rows[number].change, reason, columns)

    def _refuse_with(self, numbers: Sequence[int], refused: UpstreamRefused) -> None:
        """Handles a rejection by the database, which may show an unknown unique key or a foreign key to retry later."""
        table = self.rows[numbers[0]].table
        columns = read_unique_key(table, refused)
        if columns is not None and columns not in {key.columns for key in table.unique_keys}:
            self.learned_key = (table.qualified, columns)
        elif refused.code == _REFERENCE and not self._stops_at_conflict and not self._stops_deferring:
            self._deferred.append(list(numbers))
        else:
            self._refuse(numbers, explain_refusal(refused))

    async def _retry_deferred(self) -> None:
        """Retries rows that an unknown foreign key rejected, as long as each round reverts at least one."""
        while self._deferred and not self._is_stopped:
            waiting, self._deferred = self._deferred, []
            count = len(self.reverted)
            for numbers in waiting:
                group = tuple(number for number in numbers if number not in self.reverted)
                if group:
                    await self._run_batch(Batch(self.rows[group[0]].action, (group,)))
            if len(self.reverted) == count:
                self._stops_deferring = True

    async def _run_batch(self, batch: Batch) -> None:
        groups = [group for group in batch.groups if self._is_unblocked(group)]
        match batch.action:
            case "insert":
                await self._insert(groups)
            case "delete":
                await self._delete(groups)
            case _:
                await self._update([number for group in groups for number in group])

    def _is_unblocked(self, group: Component) -> bool:
        """Whether every row that these depend on was reverted."""
        stuck = any(other in self.conflicts for number in group for other in self._dependencies.get(number, ()))
        if stuck:
            self._refuse(group, "A row that it depends on could not be restored.")
        return not stuck

    # Inserts --------------------------------------------------------------------------------------------

    async def _insert(self, groups: Sequence[Component]) -> None:
        """Inserts all rows in one request; where the database rejects one and others may be restored, in halves."""
        numbers = [number for group in groups for number in group]
        if not numbers or self._is_stopped:
            return
        first = self.rows[numbers[0]]
        columns = self._reader.list_written(first)
        query = [("columns", ",".join(write_name(name) for name in columns))]
        body = write_rows((self.rows[number] for number in numbers), columns)
        try:
            images = await self._send("POST", numbers, query, body)
        except UpstreamRefused as refused:
            if self._reader.learn_generated(first.table, refused.answer):
                await self._insert(groups)
            elif self._stops_at_conflict or len(groups) == 1:
                self._refuse_with(numbers, refused)
            else:
                await self._insert(groups[: len(groups) // 2])
                await self._insert(groups[len(groups) // 2 :])
            return
        for number in numbers if images is not None else ():
            image = (images or {}).get(self.rows[number].target_key or ())
            if image is None:
                self._refuse([number], NOT_RESTORED)
            else:
                self.reverted[number] = image

    # Deletes --------------------------------------------------------------------------------------------

    async def _delete(self, groups: Sequence[Component]) -> None:
        for part in self._split_to_fit(groups):
            numbers = [number for group in part for number in group]
            for _ in range(MOST_TRIES):
                if numbers and not self._is_stopped:
                    numbers = await self._delete_part(numbers)
            self._refuse(numbers if not self._is_stopped else (), NOT_DELETED)

    async def _delete_part(self, numbers: Sequence[int]) -> list[int]:
        """Returns the rows that must be tried again."""
        try:
            images = await self._send("DELETE", numbers, self._restrict(numbers))
        except UpstreamRefused as refused:
            if len(numbers) > 1 and not self._stops_at_conflict:
                for number in numbers:  # the database may have rejected only one of them
                    await self._delete_part([number])
            else:
                self._refuse_with(numbers, refused)
            return []
        if images is None:
            return []
        gone = [number for number in numbers if self.rows[number].current_key in images]
        self.reverted.update(dict.fromkeys(gone))
        return await self._decide_again([number for number in numbers if number not in self.reverted])

    def _split_to_fit(self, groups: Sequence[Component]) -> list[Sequence[Component]]:
        """Splits groups into parts whose keys fit into one query string."""
        if not groups:
            return []
        numbers = [number for group in groups for number in group]
        if len(groups) == 1 or len(join_query(self._restrict(numbers))) <= QUERY_ROOM:
            return [groups]
        half = len(groups) // 2
        return [*self._split_to_fit(groups[:half]), *self._split_to_fit(groups[half:])]

    # Updates --------------------------------------------------------------------------------------------

    async def _update(self, numbers: Sequence[int]) -> None:
        """Rows that get the same values share a request; several requests run at the same time."""
        alike: dict[tuple[str | None, ...], list[int]] = {}
        for number in numbers:
            row = self.rows[number]
            alike.setdefault(tuple((row.target or {})[name] for name in row.restored), []).append(number)
        slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for same in alike.values():
                for part in self._split_to_fit([(number,) for number in same]):
                    tasks.create_task(self._update_in_turn(slots, [number for (number,) in part]))

    async def _update_in_turn(self, slots: asyncio.Semaphore, numbers: Sequence[int]) -> None:
        async with slots:
            waiting = await self._update_part(numbers)
            for number in waiting:  # each with its present version
                again = [number]
                for _ in range(MOST_TRIES):
                    if again and not self._is_stopped:
                        again = await self._update_part(again)
                self._refuse(again if not self._is_stopped else (), NOT_RESTORED)

    async def _update_part(self, numbers: Sequence[int]) -> list[int]:
        """Returns the rows that must be tried again, each by itself."""
        if self._is_stopped:
            return []
        row = self.rows[numbers[0]]
        columns = self._reader.list_written(row)
        try:
            images = await self._send("PATCH", numbers, self._restrict(numbers), write_one(row, columns))
        except UpstreamRefused as refused:
            if self._reader.learn_generated(row.table, refused.answer):
                return list(numbers)
            if len(numbers) > 1 and not self._stops_at_conflict:
                return list(numbers)
            self._refuse_with(numbers, refused)
            return []
        if images is None:
            return []
        missing = []
        for number in numbers:
            image = images.get(self.rows[number].target_key or ())
            if image is None:
                missing.append(number)
            else:
                self.reverted[number] = image
        return await self._decide_again(missing)

    # Shared ---------------------------------------------------------------------------------------------

    def _restrict(self, numbers: Sequence[int]) -> list[QueryPair]:
        """Restricts a request to these rows and to the versions that were read."""
        table = self.rows[numbers[0]].table
        keys = [self.rows[number].current_key or () for number in numbers]
        versions = dict.fromkeys((self._reader.versions.get((table.qualified, key), ""),) for key in keys)
        return [*match_rows(table.key, keys), *match_rows(("xmin",), list(versions))]

    async def _send(
        self, method: str, numbers: Sequence[int], query: Sequence[QueryPair], body: bytes = b""
    ) -> Mapping[Key, Image] | None:
        """Returns the rows of the response; None if the run ends: API or journal unreachable, or no response."""
        try:
            return await self._sender.send(method, [self.rows[number] for number in numbers], query, body)
        except OutcomeUnknown as error:
            self.halted = error
            self._refuse(numbers, _OUTCOME_UNKNOWN)
        except AppError as error:
            self.halted = error
        return None

    async def _decide_again(self, numbers: Sequence[int]) -> list[int]:
        """Decides rows that a request did not match by their present state. Returns those that must be tried again."""
        if not numbers or self.halted is not None:
            return []
        table = self.rows[numbers[0]].table
        keys = [self.rows[number].current_key or () for number in numbers]
        before = {key: self._reader.versions.pop((table.qualified, key), None) for key in keys}
        try:
            found = await self._reader.read_rows(table, keys)
        except (AppError, UpstreamRefused, SnapshotStale) as error:
            self.halted = error
            return []
        again = []
        for number, key in zip(numbers, keys, strict=True):
            row = self.rows[number]
            if before[key] == self._reader.versions.get((table.qualified, key), ""):
                self._refuse([number], NOT_DELETED if row.action == "delete" else NOT_RESTORED)
                continue
            now = found.get(key)
            if now is not None and self._was_touched_by_triggers(row, now):
                self.rows[number] = replace(row, current=now)
                again.append(number)
                continue
            decided = decide_row(row.change, table, now, choices=_repeat_choice(row))
            if isinstance(decided, RowConflict):
                self.conflicts[number] = decided
            elif manual_edits := list_manual_edits(decided):
                self._refuse([number], SET_BY_HAND, manual_edits)
            else:
                self.rows[number] = decided
                if decided.action == "nothing":
                    self.reverted[number] = decided.current
                else:
                    again.append(number)
        return again

    def _was_touched_by_triggers(self, row: RowPlan, now: Image) -> bool:
        """Whether a request of this run has changed nothing but times of a row that the session inserted.

        Triggers of the rows that were written before set them: that is no edit of others.
        """
        version = self._reader.versions.get((row.table.qualified, row.current_key or ()))
        if row.action != "delete" or row.current is None or version not in self._sender.transactions:
            return False
        differing = (name for name, value in now.exact.items() if row.current.exact.get(name) != value)
        return all(row.table.columns[name].category == _DATES for name in differing)

    # Trigger-set columns --------------------------------------------------------------------------------

    async def _restore_overwritten(self) -> None:
        """Writes columns that triggers overwrote once more. Those that stay overwritten must be trigger-set."""
        for number, image in list(self.reverted.items()):
            row, columns = self.rows[number], self._list_mismatched(number, image)
            if columns:
                columns = await self._rewrite_columns(number, columns)
            if not_restored := list_not_restored(row, columns):
                del self.reverted[number]
                self._refuse([number], KEPT_BY_TRIGGER, not_restored)
            elif columns:
                self.overwritten[f"{row.table.schema}.{row.table.name}", columns, _NOT_DISABLED] += 1

    def _list_mismatched(self, number: int, image: Image | None) -> tuple[str, ...]:
        row = self.rows[number]
        if image is None or row.target is None or row.action == "nothing":
            return ()
        return list_mismatched_columns(row, image, self._reader.generated.get(row.table.qualified, ()))

    async def _read_or_none(self, table: Table, key: Key) -> Image | None:
        try:
            return (await self._reader.read_rows(table, [key])).get(key)
        except (AppError, UpstreamRefused, SnapshotStale):
            return None

    async def _rewrite_columns(self, number: int, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the columns that are still not as planned. What failed once for a table and columns is given up."""
        row, image = self.rows[number], self.reverted[number]
        kind = (f"{row.table.schema}.{row.table.name}", columns)
        if kind in self._given_up or self.halted is not None:
            return columns
        key = row.target_key or ()
        now = await self._read_or_none(row.table, key)
        if image is None or now is None or now.exact != image.exact:
            return columns  # others are changing the row: their change must stay
        self.rows[number] = replace(row, current=now, restored=columns, kept=())
        body = write_one(self.rows[number], columns)
        images = None
        with contextlib.suppress(UpstreamRefused):
            images = await self._send("PATCH", [number], self._restrict([number]), body)
        self.rows[number] = row
        self.conflicts.pop(number, None)
        self.reverted[number] = (images or {}).get(key, image)
        left = self._list_mismatched(number, self.reverted[number])
        if left == columns:
            self._given_up.add(kind)
        return left


def _repeat_choice(row: RowPlan) -> Choices:
    """The choice that the row was planned with."""
    edit = row.overwrites
    return NO_CHOICES if edit is None or edit.id is None else Choices(frozenset({edit.id}))
