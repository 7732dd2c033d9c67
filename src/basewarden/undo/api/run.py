"""Puts rows back one request at a time, each of them compare-and-set, and remembers exactly what came of it.

A request is restricted to the versions of the rows that the plan was made of. A row that is another one meanwhile is
read and decided anew; what others did in another column is no conflict then either.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from basewarden.errors import AppError
from basewarden.gateway.capture import SnapshotStale
from basewarden.gateway.errors import OutcomeUnknown
from basewarden.gateway.forward.api import QUERY_ROOM, Pair
from basewarden.gateway.forward.deeds import UpstreamRefused
from basewarden.journal import Image
from basewarden.undo.api.batches import Batch, make_batches
from basewarden.undo.api.json_bodies import write_one, write_rows
from basewarden.undo.api.reader import HAND_SET, ApiReader, explain, read_unique_key
from basewarden.undo.api.requests import Sender
from basewarden.undo.direct.manual_edits import list_hand_set
from basewarden.undo.planning.components import Group
from basewarden.undo.planning.plan import RowPlan, UndoPlan, decide_row, make_conflict
from basewarden.undo.planning.row_reader import Key
from basewarden.undo.receipt import RowConflict, count_rows
from pgrest import Name, Table, join_query, match_rows, write_name

AT_ONCE = 4
MOST_TRIES = 4
_REFERENCE = "23503"
_UNKNOWN = "It is not known whether this row went back: the answer was lost."
NOT_TRIED = "It was not tried any more, because another row could not go back."
_AWAY = "It was not tried any more, because the project or the journal could not be reached."
_NOT_TAKEN = "The database did not take the row back: a trigger or rule stopped it."
_NOT_LET_GO = "The database did not let the row go: a trigger or rule kept it."


Stamped = Counter[tuple[str, tuple[str, ...]]]
"""Rows by their table and the columns that its triggers would not let go back."""


class Putting:
    """`done` are the rows that stand as planned, with what they are now; `conflicts` those that do not, and why.

    `stops`: the first row that cannot go back ends it. `halted` is why nothing more is tried. `learned` is a unique
    key that nobody had told of, by which the database refused a row: with it, everything is to be planned anew.
    """

    def __init__(self, reader: ApiReader, sender: Sender, plan: UndoPlan, *, stops: bool) -> None:
        self._reader = reader
        self._sender = sender
        self._needs: dict[int, list[int]] = {}
        for need in plan.needs:
            if need.of is not None:
                self._needs.setdefault(need.row, []).append(need.of)
        self._batches = make_batches(plan.rows, plan.needs)
        self._stops = stops
        self._later: list[list[int]] = []
        self._is_late = False
        self._hopeless: set[tuple[str, tuple[str, ...]]] = set()
        self.rows: list[RowPlan] = list(plan.rows)
        self.done: dict[int, Image | None] = {}
        self.conflicts: dict[int, RowConflict] = {}
        self.stamped: Stamped = Counter()
        self.halted: Exception | None = None
        self.learned: tuple[Name, tuple[str, ...]] | None = None

    async def run(self) -> None:
        for batch in self._batches:
            if not self._is_over:
                await self._put_batch(batch)
        await self._put_later()
        await self._put_right()
        left = [number for batch in self._batches for number in batch.numbers]
        reason = NOT_TRIED if self.halted is None else _AWAY
        self._refuse((number for number in left if number not in self.done and number not in self.conflicts), reason)

    @property
    def _is_over(self) -> bool:
        return self.halted is not None or self.learned is not None or (self._stops and bool(self.conflicts))

    def _refuse(self, numbers: Iterable[int], reason: str, columns: Sequence[str] = ()) -> None:
        for number in numbers:
            self.conflicts[number] = make_conflict(self.rows[number].change, reason, columns)

    def _refuse_by(self, numbers: Sequence[int], refused: UpstreamRefused) -> None:
        """The database's own no. It may tell of a key that was not known; for a reference it may be too early."""
        table = self.rows[numbers[0]].table
        columns = read_unique_key(table, refused)
        if columns is not None and columns not in {key.columns for key in table.unique_keys}:
            self.learned = (table.qualified, columns)
        elif refused.code == _REFERENCE and not self._stops and not self._is_late:
            self._later.append(list(numbers))
        else:
            self._refuse(numbers, explain(refused))

    async def _put_later(self) -> None:
        """Once more what a reference stood in the way of that nobody had told of, as long as that helps."""
        while self._later and not self._is_over:
            waiting, self._later = self._later, []
            count = len(self.done)
            for numbers in waiting:
                group = tuple(number for number in numbers if number not in self.done)
                if group:
                    await self._put_batch(Batch(self.rows[group[0]].action, (group,)))
            if len(self.done) == count:
                self._is_late = True

    async def _put_batch(self, batch: Batch) -> None:
        groups = [group for group in batch.groups if self._can_go(group)]
        match batch.action:
            case "insert":
                await self._insert(groups)
            case "delete":
                await self._delete(groups)
            case _:
                await self._update([number for group in groups for number in group])

    def _can_go(self, group: Group) -> bool:
        """Whether everything went back that these rows need."""
        stuck = any(other in self.conflicts for number in group for other in self._needs.get(number, ()))
        if stuck:
            self._refuse(group, "A row that it needs could not go back.")
        return not stuck

    # Inserts --------------------------------------------------------------------------------------------

    async def _insert(self, groups: Sequence[Group]) -> None:
        """All in one request, or, where one of them is refused and the rest may go back, by halves."""
        numbers = [number for group in groups for number in group]
        if not numbers or self._is_over:
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
            elif self._stops or len(groups) == 1:
                self._refuse_by(numbers, refused)
            else:
                await self._insert(groups[: len(groups) // 2])
                await self._insert(groups[len(groups) // 2 :])
            return
        for number in numbers if images is not None else ():
            image = (images or {}).get(self.rows[number].target_key or ())
            if image is None:
                self._refuse([number], _NOT_TAKEN)
            else:
                self.done[number] = image

    # Deletes --------------------------------------------------------------------------------------------

    async def _delete(self, groups: Sequence[Group]) -> None:
        for part in self._fit(groups):
            numbers = [number for group in part for number in group]
            for _ in range(MOST_TRIES):
                if numbers and not self._is_over:
                    numbers = await self._delete_part(numbers)
            self._refuse(numbers if not self._is_over else (), _NOT_LET_GO)

    async def _delete_part(self, numbers: Sequence[int]) -> list[int]:
        """Those that are to be tried again."""
        try:
            images = await self._send("DELETE", numbers, self._restrict(numbers))
        except UpstreamRefused as refused:
            if len(numbers) > 1 and not self._stops:
                for number in numbers:  # one of them may be what was refused
                    await self._delete_part([number])
            else:
                self._refuse_by(numbers, refused)
            return []
        if images is None:
            return []
        gone = [number for number in numbers if self.rows[number].current_key in images]
        self.done.update(dict.fromkeys(gone))
        return await self._decide_again([number for number in numbers if number not in self.done])

    def _fit(self, groups: Sequence[Group]) -> list[Sequence[Group]]:
        """Parts that can be named in one request."""
        if not groups:
            return []
        numbers = [number for group in groups for number in group]
        if len(groups) == 1 or len(join_query(self._restrict(numbers))) <= QUERY_ROOM:
            return [groups]
        half = len(groups) // 2
        return [*self._fit(groups[:half]), *self._fit(groups[half:])]

    # Updates --------------------------------------------------------------------------------------------

    async def _update(self, numbers: Sequence[int]) -> None:
        """Rows that get the same values share a request; several requests are under way at a time."""
        alike: dict[tuple[str | None, ...], list[int]] = {}
        for number in numbers:
            row = self.rows[number]
            alike.setdefault(tuple((row.target or {})[name] for name in row.restored), []).append(number)
        turns = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for same in alike.values():
                for part in self._fit([(number,) for number in same]):
                    tasks.create_task(self._update_in_turn(turns, [number for (number,) in part]))

    async def _update_in_turn(self, turns: asyncio.Semaphore, numbers: Sequence[int]) -> None:
        async with turns:
            waiting = await self._update_part(numbers)
            for number in waiting:  # each as it is now
                again = [number]
                for _ in range(MOST_TRIES):
                    if again and not self._is_over:
                        again = await self._update_part(again)
                self._refuse(again if not self._is_over else (), _NOT_TAKEN)

    async def _update_part(self, numbers: Sequence[int]) -> list[int]:
        """Those that are to be tried again, each by itself."""
        if self._is_over:
            return []
        row = self.rows[numbers[0]]
        columns = self._reader.list_written(row)
        try:
            images = await self._send("PATCH", numbers, self._restrict(numbers), write_one(row, columns))
        except UpstreamRefused as refused:
            if self._reader.learn_generated(row.table, refused.answer):
                return list(numbers)
            if len(numbers) > 1 and not self._stops:
                return list(numbers)
            self._refuse_by(numbers, refused)
            return []
        if images is None:
            return []
        missing = []
        for number in numbers:
            image = images.get(self.rows[number].target_key or ())
            if image is None:
                missing.append(number)
            else:
                self.done[number] = image
        return await self._decide_again(missing)

    # What all of them do --------------------------------------------------------------------------------

    def _restrict(self, numbers: Sequence[int]) -> list[Pair]:
        """To these rows, and to what they were when they were read."""
        table = self.rows[numbers[0]].table
        keys = [self.rows[number].current_key or () for number in numbers]
        versions = dict.fromkeys((self._reader.versions.get((table.qualified, key), ""),) for key in keys)
        return [*match_rows(table.key, keys), *match_rows(("xmin",), list(versions))]

    async def _send(
        self, method: str, numbers: Sequence[int], query: Sequence[Pair], body: bytes = b""
    ) -> Mapping[Key, Image] | None:
        """The rows that came back. None when it is over: the API or the journal is away, or the answer was lost."""
        try:
            return await self._sender.send(method, [self.rows[number] for number in numbers], query, body)
        except OutcomeUnknown as error:
            self.halted = error
            self._refuse(numbers, _UNKNOWN)
        except AppError as error:
            self.halted = error
        return None

    async def _decide_again(self, numbers: Sequence[int]) -> list[int]:
        """The rows that a request did not meet, as they are now: done already, to be tried again, or a conflict."""
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
                self._refuse([number], _NOT_LET_GO if row.action == "delete" else _NOT_TAKEN)
                continue
            decided = decide_row(row.change, table, found.get(key))
            if isinstance(decided, RowConflict):
                self.conflicts[number] = decided
            elif hand_set := list_hand_set(decided):
                self._refuse([number], HAND_SET, hand_set)
            else:
                self.rows[number] = decided
                if decided.action == "nothing":
                    self.done[number] = decided.current
                else:
                    again.append(number)
        return again

    # Stamps ---------------------------------------------------------------------------------------------

    async def _put_right(self) -> None:
        """Columns that triggers wrote over are written once more. What is left must be stamps."""
        for number, image in list(self.done.items()):
            row, columns = self.rows[number], self._find_strays(number, image)
            if columns:
                columns = await self._write_again(number, columns)
            wrong = tuple(name for name in columns if not _is_stamp(row, name))
            if wrong:
                del self.done[number]
                self._refuse([number], "A trigger keeps these columns from going back.", wrong)
            elif columns:
                self.stamped[f"{row.table.schema}.{row.table.name}", columns] += 1

    def _find_strays(self, number: int, image: Image | None) -> tuple[str, ...]:
        row = self.rows[number]
        if image is None or row.target is None or row.action == "nothing":
            return ()
        generated = self._reader.generated.get(row.table.qualified, ())
        names = (name for name in (*row.written, *row.kept) if name not in generated)
        return tuple(name for name in names if image.exact[name] != row.target[name])

    async def _read_calmly(self, table: Table, key: Key) -> Image | None:
        try:
            return (await self._reader.read_rows(table, [key])).get(key)
        except (AppError, UpstreamRefused, SnapshotStale):
            return None

    async def _write_again(self, number: int, columns: tuple[str, ...]) -> tuple[str, ...]:
        """The columns that are still not as they should be. Where it did not help once, it is not tried again."""
        row, image = self.rows[number], self.done[number]
        kind = (f"{row.table.schema}.{row.table.name}", columns)
        if kind in self._hopeless or self.halted is not None:
            return columns
        key = row.target_key or ()
        now = await self._read_calmly(row.table, key)
        if image is None or now is None or now.exact != image.exact:
            return columns  # somebody is at it: what they make of it stays
        self.rows[number] = replace(row, current=now, restored=columns, kept=())
        body = write_one(self.rows[number], columns)
        images = None
        with contextlib.suppress(UpstreamRefused):
            images = await self._send("PATCH", [number], self._restrict([number]), body)
        self.rows[number] = row
        self.conflicts.pop(number, None)
        self.done[number] = (images or {}).get(key, image)
        left = self._find_strays(number, self.done[number])
        if left == columns:
            self._hopeless.add(kind)
        return left


def describe_stamped(stamped: Stamped) -> tuple[str, ...]:
    return tuple(
        f"{', '.join(columns)} of {count_rows(count)} of {name}: "
        "a trigger sets it, and over an API it cannot be switched off."
        for (name, columns), count in stamped.items()
    )


def _is_stamp(row: RowPlan, name: str) -> bool:
    change = row.change.columns.get(name)
    return name in row.kept or row.action == "insert" or (change is not None and change.is_stamp)
