"""Several undos of one session, each of some writes, and undos of those: what is left is known exactly."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basewarden.journal import Image, RowChange
from basewarden.undo.planning.fold import RecordedWrite, WriteFolder, fold_writes
from basewarden.undo.planning.selection import ChangeIdentity, EarlierUndo, drop_reverted, fold_selected, identify
from tests.fixtures.bench import Bench, BenchAgent, Workshop, wait_for_lock
from tests.undo.support import UndoWorld
from tests.undo.test_property import MANY, reset_world, try_write
from tests.undo.test_single_writes import SHOP, request_undo, undo_writes
from tests.undo.worlds import draw_act, draw_tables


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench(SHOP)


async def list_rows(bench: Bench) -> list[str]:
    return [row["row"] for row in await bench.rows("SELECT p::text AS row FROM prices p ORDER BY id")]


async def write(agent: BenchAgent, session: str, method: str, path: str, body: Any) -> tuple[str, str]:
    """Returns the session and the write."""
    written = await agent.write(method, path, body, headers={"x-basewarden-session": session})
    return written.session_id, written.changes[0]["writeId"]


async def undo(bench: Bench, *writes: str) -> str:
    done = await undo_writes(bench, *writes)
    assert done.status_code == 200, done.text
    return str(done.json()["undoSessionId"])


async def undo_session(bench: Bench, session: str) -> str:
    done = await request_undo(bench, {"sessionId": session})
    assert done.status_code == 200, done.text
    return str(done.json()["undoSessionId"])


async def status_of(bench: Bench, session: str) -> str:
    return str((await bench.journal(session))["status"])


def identify_reverted(change: RowChange) -> ChangeIdentity:
    """The change of the session that an undo's change reverted."""
    inverse = {"insert": "delete", "delete": "insert", "update": "update"}
    return (inverse[change.verb], change.schema, change.table, change.row_key)


def make_update(old: int, new: int, text: str = "x") -> RecordedWrite:
    """A write that gives a row another text, and another key if `new` is one."""
    before, after = Image({"id": str(old), "x": str(old)}, b"{}"), Image({"id": str(new), "x": text}, b"{}")
    change = RowChange("public", "t", "update", ("id",), before, after)
    return RecordedWrite("committed", "update", "public", "t", (change,), id=uuid4())


def undo_alone(write: RecordedWrite) -> EarlierUndo:
    return EarlierUndo({write.id or uuid4()}, set(map(identify, fold_writes([write]).changes)))


FEW = settings(MANY, max_examples=int(os.environ.get("UNDO_EXAMPLES", "15")))


@FEW
@given(data=st.data())
async def test_writes_undone_in_any_order(world: UndoWorld, data: st.DataObject) -> None:
    """Whatever is undone first, the undo of the rest brings back exactly what was before the session."""
    tables = data.draw(draw_tables())[:2]  # few, so that writes meet
    await reset_world(world, tables)
    before = await world.digest()
    for act in data.draw(st.lists(draw_act(tables), min_size=2, max_size=7)):
        await try_write(world, act.sql, act.sets, is_session=True)
    left = [replace(recorded, id=uuid4()) for recorded in world.writes]
    order = data.draw(st.permutations([recorded.id for recorded in left]))
    while order:
        count = data.draw(st.integers(1, len(order)))
        selected, order = {one for one in order[:count] if one is not None}, order[count:]
        digests = await world.digest()
        plan, applied = await world.undo_selected(fold_selected(left, selected))
        if applied is None:
            assert plan.conflicts
            assert await world.digest() == digests
        else:
            left = drop_reverted(left, [EarlierUndo(selected, set(map(identify_reverted, applied.changes)))])
    plan, applied = await world.undo_selected(fold_writes(left))
    assert applied is not None, plan.conflicts
    assert await world.digest() == before


def test_an_earlier_undo_costs_as_much_as_it_reverted(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not as much as the session changed; rows that follow each other at one key are followed together."""
    followed: list[RowChange] = []
    observe = WriteFolder.observe

    def observe_and_note(folder: WriteFolder, changes: Sequence[RowChange]) -> None:
        followed.extend(changes)
        observe(folder, changes)

    monkeypatch.setattr(WriteFolder, "observe", observe_and_note)
    writes = [make_update(number, number) for number in range(1, 41)]
    moved = [make_update(50, 51), make_update(51, 52, "later")]
    left = drop_reverted([*writes, *moved], map(undo_alone, writes[:39]))
    assert (followed, [len(write.changes) for write in left]) == ([], [0] * 39 + [1, 1, 1])
    first, second = drop_reverted(moved, [undo_alone(moved[0])])
    assert (len(followed), first.changes) == (1, ())
    assert (second.changes[0].row_key, second.changes[0].new_row_key) == ('["50"]', '["52"]')


async def test_the_rest_after_a_write_in_the_middle(bench: Bench, agent: BenchAgent) -> None:
    """Of a row that the session inserted, of one with a column that a trigger sets, and of one that got another key."""
    before = await list_rows(bench)
    new, _ = await write(agent, "new", "POST", "/prices", {"id": 50, "amount": 1, "note": "a"})
    _, middle = await write(agent, "new", "PATCH", "/prices?id=eq.50", {"amount": 2})
    await write(agent, "new", "PATCH", "/prices?id=eq.50", {"note": "b"})
    stamped, first = await write(agent, "stamped", "PATCH", "/prices?id=eq.1", {"amount": 2})
    await write(agent, "stamped", "PATCH", "/prices?id=eq.1", {"note": "b"})
    moved, move = await write(agent, "moved", "PATCH", "/prices?id=eq.2", {"id": 20})
    _, last = await write(agent, "moved", "PATCH", "/prices?id=eq.20", {"note": "b"})
    for one in (middle, first, move, last):
        await undo(bench, one)
    assert await status_of(bench, moved) == "undone"
    for session in (new, stamped):
        assert await status_of(bench, session) == "partly_undone"
        await undo_session(bench, session)
        assert await status_of(bench, session) == "undone"
    assert await list_rows(bench) == before


async def test_undos_that_are_undone_and_undone_again(bench: Bench, agent: BenchAgent) -> None:
    session, first = await write(agent, "s", "PATCH", "/prices?id=eq.1", {"amount": 5})
    _, second = await write(agent, "s", "PATCH", "/prices?id=eq.2", {"amount": 5})
    undos = [await undo(bench, one) for one in (first, second)]
    assert await status_of(bench, session) == "undone"
    redo = await undo_session(bench, undos[0])
    assert await status_of(bench, session) == "partly_undone"
    await undo_session(bench, redo)
    assert await status_of(bench, session) == "undone"


async def test_a_redo_while_the_rest_is_undone(bench: Bench, agent: BenchAgent) -> None:
    """The undo of the rest counted on an earlier one, which is undone before it ends: the session is not undone."""
    before = await list_rows(bench)
    session, first = await write(agent, "s", "PATCH", "/prices?id=eq.1", {"amount": 5})
    await write(agent, "s", "PATCH", "/prices?id=eq.2", {"amount": 5})
    earlier = await undo(bench, first)
    async with bench.admin.transaction():
        await bench.run("SELECT FROM prices WHERE id = 2 FOR UPDATE")
        rest = asyncio.create_task(undo_session(bench, session))
        await wait_for_lock(bench)
        await undo_session(bench, earlier)
    await rest
    assert (await list_rows(bench))[0].startswith("(1,2,5,")
    assert await status_of(bench, session) == "partly_undone"
    await undo_session(bench, session)
    assert await list_rows(bench) == before
    assert await status_of(bench, session) == "undone"


async def test_what_a_busy_table_kept_comes_back_with_the_next_undo(bench: Bench, agent: BenchAgent) -> None:
    await bench.run("ALTER TABLE prices ADD parent int REFERENCES prices ON DELETE CASCADE")
    await bench.run("UPDATE prices SET parent = 1 WHERE id = 4")
    before = await list_rows(bench)
    session, first = await write(agent, "s", "PATCH", "/prices?id=eq.1", {"amount": 5})
    _, second = await write(agent, "s", "PATCH", "/prices?id=eq.2", {"amount": 5})
    async with bench.admin.transaction(force_rollback=True):
        await bench.run("UPDATE prices SET note = 'theirs' WHERE id = 5")
        busy = (await undo_writes(bench, first)).json()
    assert "undo again to restore this" in busy["irreversible"][0]
    await undo(bench, first)
    assert (await undo_writes(bench, first)).json()["code"] == "already_undone"
    await undo(bench, second)
    assert await list_rows(bench) == before
    assert await status_of(bench, session) == "undone"
