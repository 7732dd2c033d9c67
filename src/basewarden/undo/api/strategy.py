"""One press over a project's own API: planned completely first, then carried out step by step, and told as it came."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import msgspec

from basewarden.core.ids import make_id
from basewarden.errors import AppError
from basewarden.gateway.capture import SnapshotStale
from basewarden.gateway.errors import OutcomeUnknown, UpstreamAway
from basewarden.gateway.forward.api import Api
from basewarden.gateway.forward.deeds import UpstreamRefused
from basewarden.gateway.forward.reach import ApiAccess
from basewarden.journal import Capture, Recorder
from basewarden.undo.api.reader import ApiReader, explain
from basewarden.undo.api.requests import Sender
from basewarden.undo.api.run import NOT_TRIED, Putting, Stamped, describe_stamped
from basewarden.undo.errors import ProjectAway, UndoConflict, UndoRaced
from basewarden.undo.ledger import Book, make_caller, make_receipt
from basewarden.undo.planning.plan import UndoPlan, find_mismatch, make_conflict
from basewarden.undo.planning.planner import make_plan
from basewarden.undo.receipt import OnConflict, Receipt, RowConflict
from basewarden.undo.target import ApplyOptions, Past, Presser
from basewarden.undo.tokens import check_token
from pgrest import Name, Schema, UniqueKey

CAPTURE: Capture = "representation"


@dataclass(frozen=True, slots=True)
class _Run:
    """What it came to: of the last plan, the rows that did not go back, by number.

    `already` rows were as before when the first plan was made.
    """

    plan: UndoPlan
    already: int
    conflicts: Mapping[int, RowConflict]
    stamped: Stamped
    halted: Exception | None
    has_written: bool


class ForwardWay:
    by_steps: ClassVar[bool] = True

    def __init__(self, reach: ApiAccess, recorder: Recorder, book: Book) -> None:
        self._api = Api(reach.upstream, reach.schema)
        self._find_newer = reach.find_newer
        self._recorder = recorder
        self._book = book

    async def preview(self, past: Past) -> UndoPlan:
        _, plan = await self._plan(past, probes=False)
        return plan

    async def carry_out(self, past: Past, presser: Presser, options: ApplyOptions) -> Receipt:
        on_conflict = options.on_conflict
        reader, plan = await self._plan(past, probes=True)
        check_token(past, plan, options.preview_token)
        if plan.conflicts and on_conflict == "refuse":
            raise UndoConflict(make_receipt(plan))
        if not plan.writes:
            return await self._book.close_unwritten(past, plan)
        undo_id = make_id()
        await self._book.open(past, undo_id, presser, _make_first_word(past, plan), CAPTURE)
        sender = Sender(self._api, self._recorder, make_caller(past, presser, CAPTURE), undo_id)
        run = await self._run(reader, sender, past, plan, stops=on_conflict == "refuse")
        receipt = _make_receipt(run)
        if not run.has_written:
            await self._book.call_off(undo_id)
            return await self._end_unwritten(receipt, run, on_conflict)
        receipt = replace(receipt, undo_session_id=undo_id)
        left = len(receipt.conflicts) + len(past.folded.irreversible) + len(run.stamped)
        await self._book.close(undo_id, {**receipt.stored_body(), "left": left, "position": past.position})
        return receipt

    async def _run(self, reader: ApiReader, sender: Sender, past: Past, plan: UndoPlan, *, stops: bool) -> "_Run":
        """Planned anew with each unique key that the database tells of by a refusal."""
        stamped, schema, already = Stamped(), _add_moved_keys(self._api.schema, past), plan.already
        while True:
            putting = Putting(reader, sender, plan, stops=stops)
            await putting.run()
            stamped = stamped + putting.stamped
            run = _Run(plan, already, putting.conflicts, stamped, putting.halted, sender.has_written)
            if putting.learned is None or putting.halted is not None:
                return run
            schema = _add_unique_key(schema, *putting.learned)
            try:
                plan = await make_plan(reader, schema, past.folded)
            except (AppError, UpstreamRefused, SnapshotStale) as error:
                return replace(run, halted=error)
            if plan.conflicts and stops:
                left = _leave_all(plan) if sender.has_written else {}
                return _Run(plan, already, left, stamped, None, sender.has_written)

    async def _end_unwritten(self, receipt: Receipt, run: "_Run", on_conflict: OnConflict) -> Receipt:
        """Nothing was changed: that is a refusal, unless whoever pressed wanted only what goes."""
        if run.halted is not None:
            async with _translating():
                raise run.halted
        if on_conflict == "refuse":
            raise UndoConflict(replace(receipt, reverted=0, skipped=0))
        return receipt

    async def _plan(self, past: Past, *, probes: bool) -> tuple[ApiReader, UndoPlan]:
        """Made on a newer schema where the known one may be outdated."""
        try:
            async with _translating():
                if await asyncio.to_thread(_has_mismatch, self._api.schema, past):
                    await self._renew_schema()
                try:
                    return await self._plan_once(past, probes=probes)
                except (SnapshotStale, UpstreamRefused) as error:
                    if isinstance(error, UpstreamRefused) and not error.is_outdated:
                        raise
                await self._renew_schema()
                return await self._plan_once(past, probes=probes)
        except UpstreamRefused as refused:
            conflict = RowConflict("", "", {}, (), explain(refused))
            raise UndoConflict(Receipt(0, 0, 0, (conflict,), past.folded.irreversible)) from refused

    async def _renew_schema(self) -> None:
        self._api = replace(self._api, schema=await self._find_newer(self._api.schema))

    async def _plan_once(self, past: Past, *, probes: bool) -> tuple[ApiReader, UndoPlan]:
        reader = ApiReader(self._api, probes=probes)
        return reader, await make_plan(reader, _add_moved_keys(self._api.schema, past), past.folded)


@asynccontextmanager
async def _translating() -> AsyncIterator[None]:
    """Nothing has been changed yet."""
    try:
        yield
    except (UpstreamAway, OutcomeUnknown) as error:
        raise ProjectAway from error
    except SnapshotStale as error:
        raise UndoRaced from error


def _make_first_word(past: Past, plan: UndoPlan) -> dict[str, object]:
    """The receipt of an undo that ends here: nothing is back but what was back already."""
    open_rows = plan.planned - plan.already
    receipt = replace(make_receipt(plan), skipped=open_rows)
    lasting = len(past.folded.irreversible)
    stored = {"left": open_rows + lasting, "position": past.position, "lasting": lasting}
    return {**receipt.stored_body(), **stored}


def _make_receipt(run: _Run) -> Receipt:
    """Exactly which rows went back, and which did not."""
    plan = run.plan
    conflicts = (*plan.conflicts, *(run.conflicts[number] for number in sorted(run.conflicts)))
    reverted = max(0, plan.planned - run.already - len(conflicts))
    told = replace(
        make_receipt(plan), reverted=reverted, already=run.already, skipped=len(conflicts), conflicts=conflicts
    )
    return told.with_notes(describe_stamped(run.stamped))


def _leave_all(plan: UndoPlan) -> dict[int, RowConflict]:
    """A conflict turned up when some rows were back already: all others stay as they are."""
    return {
        number: make_conflict(row.change, NOT_TRIED) for number, row in enumerate(plan.rows) if row.action != "nothing"
    }


def _has_mismatch(schema: Schema, past: Past) -> bool:
    tables, folded = schema.tables, past.folded
    return any(
        number not in folded.done and find_mismatch(change, tables.get((change.schema, change.table)))
        for number, change in enumerate(folded.changes)
    )


def _add_moved_keys(schema: Schema, past: Past) -> Schema:
    """Where rows go back to other keys, the keys are unique values like any others."""
    moved = {
        (change.schema, change.table)
        for change in past.folded.changes
        if None not in (change.key_before, change.key_after) and change.key_before != change.key_after
    }
    for name in moved & schema.tables.keys():
        schema = _add_unique_key(schema, name, schema.tables[name].key)
    return schema


def _add_unique_key(schema: Schema, name: Name, columns: tuple[str, ...]) -> Schema:
    table = schema.tables[name]
    if columns in {key.columns for key in table.unique_keys}:
        return schema
    key = UniqueKey(columns, is_primary=False, is_constraint=True, is_immediate=True)
    keyed = msgspec.structs.replace(table, unique_keys=(*table.unique_keys, key))
    return replace(schema, tables={**schema.tables, name: keyed})
