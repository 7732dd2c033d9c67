"""Executes an undo over a project's REST API: plans it completely first, then sends one request after another."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from basewarden.core.ids import make_id
from basewarden.errors import AppError
from basewarden.gateway import SnapshotStale
from basewarden.gateway.api import ApiAccess, ApiTables, UpstreamRefused
from basewarden.journal import Capture, Recorder
from basewarden.undo.api.reader import ApiReader, explain_refusal
from basewarden.undo.api.requests import UndoRequestSender
from basewarden.undo.api.run import NOT_TRIED, ApiUndoRun
from basewarden.undo.api.schema import add_moved_keys, add_unique_key, has_schema_mismatch
from basewarden.undo.errors import UndoConflict
from basewarden.undo.execution.failures import translate_project_errors
from basewarden.undo.execution.preconditions import check_plan
from basewarden.undo.execution.receipts import UndoResult, make_initial_receipt
from basewarden.undo.execution.schema_retry import run_on_current_schema
from basewarden.undo.execution.verification import describe_overwritten
from basewarden.undo.ledger import UndoLedger, make_caller
from basewarden.undo.planning.choices import NO_CHOICES, Choices
from basewarden.undo.planning.names import find_names
from basewarden.undo.planning.plan import UndoPlan, make_conflict
from basewarden.undo.planning.planner import make_chosen_plan, make_plan
from basewarden.undo.receipt import OnConflict, Receipt, RowConflict
from basewarden.undo.row_samples import SampleWindow
from basewarden.undo.target import ApplyOptions, UndoActor, UndoTarget
from pgrest import Schema

API_CAPTURE: Capture = "representation"
_PLAN_TRIES = 2


@dataclass(frozen=True, slots=True)
class _RunResult:
    """`plan` is the last plan, `conflicts` are those of its rows that were not reverted, by number.

    `already_reverted` rows were as before when the first plan was made. `overwritten_edits` are settled conflicts whose
    rows were restored, `overwritten` the columns that triggers set again. `halted` is why requests ended early.
    """

    plan: UndoPlan
    already_reverted: int
    conflicts: Mapping[int, RowConflict]
    overwritten: Counter[tuple[str, tuple[str, ...], str]]
    overwritten_edits: tuple[RowConflict, ...]
    halted: Exception | None
    has_written: bool

    def make_result(self) -> UndoResult:
        conflicts = (*self.plan.conflicts, *(self.conflicts[number] for number in sorted(self.conflicts)))
        notes = describe_overwritten(self.overwritten)
        return UndoResult(self.plan, conflicts, self.already_reverted, self.overwritten_edits, notes)


class ApiUndoStrategy:
    is_incremental: ClassVar[bool] = True

    def __init__(self, access: ApiAccess, recorder: Recorder, ledger: UndoLedger) -> None:
        self._api = ApiTables(access.upstream, access.schema)
        self._find_newer = access.find_newer
        self._recorder = recorder
        self._ledger = ledger

    async def preview(
        self, target: UndoTarget, window: SampleWindow | None = None, choices: Choices = NO_CHOICES
    ) -> UndoPlan:
        reader, plan = await self._plan(target, choices, probes=False)
        try:
            return replace(plan, names=await find_names(reader, self._api.schema, plan, window))
        except (AppError, UpstreamRefused, SnapshotStale):
            return plan  # rows keep their keys for names

    async def execute(self, target: UndoTarget, actor: UndoActor, options: ApplyOptions) -> Receipt:
        reader, plan = await self._plan(target, options.choices, probes=True)
        check_plan(target, plan, options)
        if not plan.writes:
            return await self._ledger.finish_without_writes(target, plan)
        undo_id = make_id()
        await self._ledger.start(target, undo_id, actor, make_initial_receipt(target, plan), API_CAPTURE)
        sender = UndoRequestSender(self._api, self._recorder, make_caller(target, actor, API_CAPTURE), undo_id)
        run = await self._run(reader, sender, target, plan, options)
        result = run.make_result()
        if not run.has_written:
            await self._ledger.mark_failed(undo_id)
            return await self._end_without_writes(result.make_receipt(), run, options.on_conflict)
        await self._ledger.finish(undo_id, result.make_stored_receipt(target, undo_id))
        return result.make_receipt(undo_id)

    async def _run(
        self, reader: ApiReader, sender: UndoRequestSender, target: UndoTarget, plan: UndoPlan, options: ApplyOptions
    ) -> _RunResult:
        """Plans again with each unique key that the database names when it rejects a row."""
        stops_at_conflict = options.on_conflict == "refuse"
        schema, already_reverted = add_moved_keys(self._api.schema, target), plan.already_reverted
        overwritten: Counter[tuple[str, tuple[str, ...], str]] = Counter()
        edits: tuple[RowConflict, ...] = ()
        while True:
            api_run = ApiUndoRun(reader, sender, plan, stops_at_conflict=stops_at_conflict)
            await api_run.run()
            overwritten, edits = overwritten + api_run.overwritten, (*edits, *api_run.list_overwritten_edits())
            run = _RunResult(
                plan, already_reverted, api_run.conflicts, overwritten, edits, api_run.halted, sender.has_written
            )
            if api_run.learned_key is None or api_run.halted is not None:
                return run
            schema = add_unique_key(schema, *api_run.learned_key)
            try:
                plan = await make_plan(reader, schema, target.folded, options.choices)
            except (AppError, UpstreamRefused, SnapshotStale) as error:
                return replace(run, halted=error)
            if plan.conflicts and stops_at_conflict:
                skipped = _skip_all(plan) if sender.has_written else {}
                return _RunResult(plan, already_reverted, skipped, overwritten, edits, None, sender.has_written)

    async def _end_without_writes(self, receipt: Receipt, run: _RunResult, on_conflict: OnConflict) -> Receipt:
        """Nothing was changed, which is a refusal unless the actor asked to skip conflicts."""
        if run.halted is not None:
            async with translate_project_errors():
                raise run.halted
        if on_conflict == "refuse":
            raise UndoConflict(replace(receipt, reverted=0, skipped=0))
        return receipt

    async def _plan(self, target: UndoTarget, choices: Choices, *, probes: bool) -> tuple[ApiReader, UndoPlan]:
        """Plans on a newer schema where the known one is outdated."""

        async def plan_on(schema: Schema) -> tuple[ApiReader, UndoPlan]:
            self._api = replace(self._api, schema=schema)
            reader = ApiReader(self._api, probes=probes)
            return reader, await make_chosen_plan(reader, add_moved_keys(schema, target), target.folded, choices)

        async def renew(schema: Schema, error: Exception) -> Schema | None:
            is_outdated = not isinstance(error, UpstreamRefused) or error.is_outdated
            return await self._find_newer(schema) if is_outdated else None

        try:
            async with translate_project_errors():
                schema = self._api.schema
                if await asyncio.to_thread(has_schema_mismatch, schema, target):
                    schema = await self._find_newer(schema)
                return await run_on_current_schema(schema, plan_on, renew, tries=_PLAN_TRIES)
        except UpstreamRefused as refused:
            conflict = RowConflict("", "", {}, (), explain_refusal(refused))
            raise UndoConflict(Receipt(0, 0, 0, (conflict,), target.folded.irreversible)) from refused


def _skip_all(plan: UndoPlan) -> dict[int, RowConflict]:
    """The new plan has a conflict after some rows were reverted: all other rows stay as they are."""
    return {
        number: make_conflict(row.change, NOT_TRIED) for number, row in enumerate(plan.rows) if row.action != "nothing"
    }
