"""One press over a project's own API: planned completely first, then carried out step by step, and told as it came."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import msgspec

from basewarden.core.ids import make_id
from basewarden.errors import AppError
from basewarden.gateway.api.access import ApiAccess
from basewarden.gateway.api.journaled_request import UpstreamRefused
from basewarden.gateway.api.tables import ApiTables
from basewarden.gateway.direct.capture import SnapshotStale
from basewarden.gateway.errors import OutcomeUnknown, UpstreamUnavailable
from basewarden.journal import Capture, Recorder
from basewarden.undo.api.reader import ApiReader, explain_refusal
from basewarden.undo.api.requests import UndoRequestSender
from basewarden.undo.api.run import NOT_TRIED, ApiUndoRun, OverwrittenColumns, describe_overwritten
from basewarden.undo.errors import ProjectAway, UndoConflict, UndoRaced
from basewarden.undo.ledger import UndoLedger, make_caller, make_receipt
from basewarden.undo.planning.plan import UndoPlan, find_schema_mismatch, make_conflict
from basewarden.undo.planning.planner import make_plan
from basewarden.undo.receipt import OnConflict, Receipt, RowConflict
from basewarden.undo.target import ApplyOptions, UndoActor, UndoTarget
from basewarden.undo.tokens import check_token
from pgrest import Name, Schema, UniqueKey

API_CAPTURE: Capture = "representation"


@dataclass(frozen=True, slots=True)
class _RunResult:
    """What it came to: of the last plan, the rows that did not go back, by number.

    `already_reverted` rows were as before when the first plan was made.
    """

    plan: UndoPlan
    already_reverted: int
    conflicts: Mapping[int, RowConflict]
    overwritten: OverwrittenColumns
    halted: Exception | None
    has_written: bool


class ApiUndoStrategy:
    is_incremental: ClassVar[bool] = True

    def __init__(self, reach: ApiAccess, recorder: Recorder, ledger: UndoLedger) -> None:
        self._api = ApiTables(reach.upstream, reach.schema)
        self._find_newer = reach.find_newer
        self._recorder = recorder
        self._ledger = ledger

    async def preview(self, target: UndoTarget) -> UndoPlan:
        _, plan = await self._plan(target, probes=False)
        return plan

    async def execute(self, target: UndoTarget, actor: UndoActor, options: ApplyOptions) -> Receipt:
        on_conflict = options.on_conflict
        reader, plan = await self._plan(target, probes=True)
        check_token(target, plan, options.preview_token)
        if plan.conflicts and on_conflict == "refuse":
            raise UndoConflict(make_receipt(plan))
        if not plan.writes:
            return await self._ledger.finish_without_writes(target, plan)
        undo_id = make_id()
        await self._ledger.start(target, undo_id, actor, _make_initial_receipt(target, plan), API_CAPTURE)
        sender = UndoRequestSender(self._api, self._recorder, make_caller(target, actor, API_CAPTURE), undo_id)
        run = await self._run(reader, sender, target, plan, stops_at_conflict=on_conflict == "refuse")
        receipt = _make_receipt(run)
        if not run.has_written:
            await self._ledger.mark_failed(undo_id)
            return await self._end_unwritten(receipt, run, on_conflict)
        receipt = replace(receipt, undo_session_id=undo_id)
        left = len(receipt.conflicts) + len(target.folded.irreversible) + len(run.overwritten)
        await self._ledger.finish(undo_id, {**receipt.stored_body(), "left": left, "position": target.position})
        return receipt

    async def _run(
        self,
        reader: ApiReader,
        sender: UndoRequestSender,
        target: UndoTarget,
        plan: UndoPlan,
        *,
        stops_at_conflict: bool,
    ) -> "_RunResult":
        """Planned anew with each unique key that the database tells of by a refusal."""
        overwritten, schema, already_reverted = (
            OverwrittenColumns(),
            _add_moved_keys(self._api.schema, target),
            plan.already_reverted,
        )
        while True:
            api_run = ApiUndoRun(reader, sender, plan, stops_at_conflict=stops_at_conflict)
            await api_run.run()
            overwritten = overwritten + api_run.overwritten
            run = _RunResult(plan, already_reverted, api_run.conflicts, overwritten, api_run.halted, sender.has_written)
            if api_run.learned_key is None or api_run.halted is not None:
                return run
            schema = _add_unique_key(schema, *api_run.learned_key)
            try:
                plan = await make_plan(reader, schema, target.folded)
            except (AppError, UpstreamRefused, SnapshotStale) as error:
                return replace(run, halted=error)
            if plan.conflicts and stops_at_conflict:
                left = _skip_all(plan) if sender.has_written else {}
                return _RunResult(plan, already_reverted, left, overwritten, None, sender.has_written)

    async def _end_unwritten(self, receipt: Receipt, run: "_RunResult", on_conflict: OnConflict) -> Receipt:
        """Nothing was changed: that is a refusal, unless whoever pressed wanted only what goes."""
        if run.halted is not None:
            async with _translate_errors():
                raise run.halted
        if on_conflict == "refuse":
            raise UndoConflict(replace(receipt, reverted=0, skipped=0))
        return receipt

    async def _plan(self, target: UndoTarget, *, probes: bool) -> tuple[ApiReader, UndoPlan]:
        """Made on a newer schema where the known one may be outdated."""
        try:
            async with _translate_errors():
                if await asyncio.to_thread(_has_mismatch, self._api.schema, target):
                    await self._renew_schema()
                try:
                    return await self._plan_once(target, probes=probes)
                except (SnapshotStale, UpstreamRefused) as error:
                    if isinstance(error, UpstreamRefused) and not error.is_outdated:
                        raise
                await self._renew_schema()
                return await self._plan_once(target, probes=probes)
        except UpstreamRefused as refused:
            conflict = RowConflict("", "", {}, (), explain_refusal(refused))
            raise UndoConflict(Receipt(0, 0, 0, (conflict,), target.folded.irreversible)) from refused

    async def _renew_schema(self) -> None:
        self._api = replace(self._api, schema=await self._find_newer(self._api.schema))

    async def _plan_once(self, target: UndoTarget, *, probes: bool) -> tuple[ApiReader, UndoPlan]:
        reader = ApiReader(self._api, probes=probes)
        return reader, await make_plan(reader, _add_moved_keys(self._api.schema, target), target.folded)


@asynccontextmanager
async def _translate_errors() -> AsyncIterator[None]:
    """Nothing has been changed yet."""
    try:
        yield
    except (UpstreamUnavailable, OutcomeUnknown) as error:
        raise ProjectAway from error
    except SnapshotStale as error:
        raise UndoRaced from error


def _make_initial_receipt(target: UndoTarget, plan: UndoPlan) -> dict[str, object]:
    """The receipt of an undo that ends here: nothing is back but what was back already."""
    open_rows = plan.planned - plan.already_reverted
    receipt = replace(make_receipt(plan), skipped=open_rows)
    lasting = len(target.folded.irreversible)
    stored = {"left": open_rows + lasting, "position": target.position, "lasting": lasting}
    return {**receipt.stored_body(), **stored}


def _make_receipt(run: _RunResult) -> Receipt:
    """Exactly which rows went back, and which did not."""
    plan = run.plan
    conflicts = (*plan.conflicts, *(run.conflicts[number] for number in sorted(run.conflicts)))
    reverted = max(0, plan.planned - run.already_reverted - len(conflicts))
    told = replace(
        make_receipt(plan),
        reverted=reverted,
        already_reverted=run.already_reverted,
        skipped=len(conflicts),
        conflicts=conflicts,
    )
    return told.with_notes(describe_overwritten(run.overwritten))


def _skip_all(plan: UndoPlan) -> dict[int, RowConflict]:
    """A conflict turned up when some rows were back already: all others stay as they are."""
    return {
        number: make_conflict(row.change, NOT_TRIED) for number, row in enumerate(plan.rows) if row.action != "nothing"
    }


def _has_mismatch(schema: Schema, target: UndoTarget) -> bool:
    tables, folded = schema.tables, target.folded
    return any(
        number not in folded.undone_earlier and find_schema_mismatch(change, tables.get((change.schema, change.table)))
        for number, change in enumerate(folded.changes)
    )


def _add_moved_keys(schema: Schema, target: UndoTarget) -> Schema:
    """Where rows go back to other keys, the keys are unique values like any others."""
    moved = {
        (change.schema, change.table)
        for change in target.folded.changes
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
