"""Random schemas and writes: undo restores every table, and undoing the undo restores the session's state."""

import os
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from basewarden.undo.planning.choices import Choices
from basewarden.undo.planning.plan import UndoPlan
from pgrest import DatabaseError, Statement
from tests.undo.ordered_worlds import TAG, OrderedTable, draw_ordered_act, draw_ordered_tables
from tests.undo.support import UndoWorld
from tests.undo.worlds import STAMP, TYPES, TablePlan, draw_act, draw_tables


async def reset_world(world: UndoWorld, tables: Sequence[TablePlan | OrderedTable]) -> None:
    world.writes = []
    await world.run("DROP SCHEMA public CASCADE;\nCREATE SCHEMA public;\n" + TYPES + STAMP)
    await world.run("\n".join(table.ddl() for table in tables))


async def try_write(
    world: UndoWorld, sql: str, sets: tuple[str, ...], *, is_session: bool, tag: str | None = None
) -> None:
    """Ignores writes that the database rejects."""
    try:
        if is_session:
            await world.act(sql, sets=None if tag else sets, tag=tag)
        else:
            await world.run(sql)
    except DatabaseError:
        await world.connection.run([Statement("ROLLBACK")])


MANY = settings(
    max_examples=int(os.environ.get("UNDO_EXAMPLES", "40")), deadline=None, suppress_health_check=list(HealthCheck)
)


@MANY
@given(data=st.data())
async def test_a_session_alone(world: UndoWorld, data: st.DataObject) -> None:
    tables = data.draw(draw_tables(with_pairs=data.draw(st.booleans())))
    await reset_world(world, tables)
    before = await world.digest()
    for act in data.draw(st.lists(draw_act(tables), min_size=1, max_size=8)):
        await try_write(world, act.sql, act.sets, is_session=True)
    left = await world.digest()
    for expected in (before, left, before):
        plan, applied = await world.undo()
        assert applied is not None, plan.conflicts
        assert await world.digest() == expected


@MANY
@given(data=st.data())
async def test_with_others_in_between(world: UndoWorld, data: st.DataObject) -> None:
    """Undo refuses and changes nothing, or skips conflicts; what it did can be undone in turn."""
    tables = data.draw(draw_tables(with_pairs=data.draw(st.booleans())))
    await reset_world(world, tables)
    for act in data.draw(st.lists(draw_act(tables), min_size=1, max_size=8)):
        await try_write(world, act.sql, act.sets, is_session=data.draw(st.booleans()))
    digests = await world.digest()
    plan, applied = await world.undo()
    if applied is None:
        assert plan.conflicts
        assert await world.digest() == digests
        plan, applied = await world.undo(skip=True)
        assert applied is not None, plan.conflicts
    plan, applied = await world.undo()
    assert applied is not None, plan.conflicts
    assert await world.digest() == digests


@MANY
@given(data=st.data())
async def test_newer_values_that_are_overwritten_as_chosen(world: UndoWorld, data: st.DataObject) -> None:
    """The chosen rows are as before the session, and undoing the undo brings all newer values back."""
    tables = data.draw(draw_tables(with_pairs=data.draw(st.booleans())))
    await reset_world(world, tables)
    for act in data.draw(st.lists(draw_act(tables), min_size=1, max_size=4)):
        await try_write(world, act.sql, act.sets, is_session=True)
    for act in data.draw(st.lists(draw_act(tables), min_size=1, max_size=5)):
        await try_write(world, act.sql, act.sets, is_session=data.draw(st.integers(0, 3)) == 0)
    digests = await world.digest()
    offered = [conflict.id for conflict in (await world.plan()).conflicts if conflict.id is not None]
    chosen = frozenset(one for one in offered if data.draw(st.booleans()))
    plan, applied = await world.undo(skip=True, choices=Choices(chosen))
    assert applied is not None, plan.conflicts
    overwritten = {edit.id for edit in plan.overwritten_edits}
    assert overwritten <= chosen
    assert not overwritten & {conflict.id for conflict in plan.conflicts}
    assert len(plan.overwritten_edits) == len(overwritten)
    await check_overwritten(world, plan)
    plan, applied = await world.undo()
    assert applied is not None, plan.conflicts
    assert await world.digest() == digests


async def check_overwritten(world: UndoWorld, plan: UndoPlan) -> None:
    state = await world.read(await world.schema())
    for row in plan.writes:
        if row.overwrites is None:
            continue
        rows, before = state[row.table.qualified], row.change.before
        if before is None:
            assert (row.current_key or ()) not in rows
        else:
            now = rows[row.target_key or ()].exact
            assert {name: now[name] for name in row.overwrites.columns} == {
                name: before[name] for name in row.overwrites.columns
            }


@MANY
@given(data=st.data())
async def test_places_that_rows_take_from_each_other(world: UndoWorld, data: st.DataObject) -> None:
    """Unique values, keys and exclusions in chains and cycles, with the actions of foreign keys."""
    tables = data.draw(draw_ordered_tables())
    await reset_world(world, tables)
    before = await world.digest()
    for act in data.draw(st.lists(draw_ordered_act(tables), min_size=2, max_size=8)):
        await try_write(world, act.sql, act.sets, is_session=True, tag=TAG)
    left = await world.digest()
    for expected in (before, left, before):
        plan, applied = await world.undo()
        assert applied is not None, plan.conflicts
        assert await world.digest() == expected
