"""The undo of some writes of a session: as if only those had not happened, or refused."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basewarden.journal import Image, RowChange
from basewarden.undo.planning.fold import RecordedWrite
from basewarden.undo.planning.selection import EarlierUndo, drop_reverted, fold_selected, identify
from tests.fixtures.bench import Backend, Bench, BenchAgent, Workshop, on_both_backends
from tests.undo.support import UndoWorld
from tests.undo.test_property import MANY, reset_world, try_write
from tests.undo.worlds import draw_act, draw_tables

Rows = dict[tuple[str, str, tuple[str, ...]], dict[str, str | None]]
SHOP = """
    CREATE TABLE makers (id int PRIMARY KEY, name text);
    CREATE TABLE prices (id int PRIMARY KEY, maker_id int REFERENCES makers ON DELETE CASCADE, amount numeric,
        note text, updated_at timestamptz DEFAULT now());
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END';
    CREATE TRIGGER stamp BEFORE UPDATE ON prices FOR EACH ROW EXECUTE FUNCTION stamp();
    INSERT INTO makers VALUES (1, 'Ada'), (2, 'Bo');
    INSERT INTO prices SELECT n, 1 + n % 2, n * 1.10, 'n' FROM generate_series(1, 9) n;
"""


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench(SHOP)


async def read_rows(world: UndoWorld) -> Rows:
    state = await world.read(await world.schema())
    return {(*name, key): dict(image.exact) for name, rows in state.items() for key, image in rows.items()}


def replay(rows: Rows, writes: Sequence[RecordedWrite], left_out: UUID) -> Rows | None:
    """The rows after all writes but one, each changing only the columns that it changed; None where that clashes."""
    now = dict(rows)
    for write in writes:
        arriving: Rows = {}
        for change in write.changes if write.id != left_out else ():
            columns = change.key_columns
            if change.before is not None:
                place = (change.schema, change.table, change.before.key(columns))
                if place not in now:
                    return None
                row = now.pop(place)
            else:
                row = {}
            if change.after is not None:
                before: Mapping[str, Any] = change.before.exact if change.before else {}
                after = change.after.exact
                row = {**row, **{name: value for name, value in after.items() if before.get(name, ...) != value}}
                arriving[change.schema, change.table, tuple(row[name] or "" for name in columns)] = row
        if arriving.keys() & now.keys():
            return None
        now |= arriving
    return now


@MANY
@given(data=st.data())
async def test_one_write_among_several(world: UndoWorld, data: st.DataObject) -> None:
    """The result is exactly the state without that write, and undoing the undo brings everything back."""
    tables = data.draw(draw_tables())
    await reset_world(world, tables)
    start = await read_rows(world)
    for act in data.draw(st.lists(draw_act(tables), min_size=2, max_size=7)):
        await try_write(world, act.sql, act.sets, is_session=True)
    world.writes = [replace(write, id=uuid4()) for write in world.writes]
    if not world.writes:
        return
    chosen = data.draw(st.sampled_from(world.writes)).id
    assert chosen is not None
    left, writes = await read_rows(world), world.writes
    folded = fold_selected(writes, {chosen})
    plan, applied = await world.undo_selected(folded)
    if applied is None:
        assert plan.conflicts
        assert await read_rows(world) == left
        return
    expected = replay(start, writes, chosen)
    undone = await read_rows(world)
    assert expected is not None
    assert list_settled(undone) == list_settled(expected)
    check_the_rest(writes, chosen, {identify(change) for change in folded.changes})
    assert (await world.undo())[1] is not None
    assert await read_rows(world) == left


def list_settled(rows: Rows) -> list[str]:
    return sorted(repr((place, sorted(row.items(), key=str))) for place, row in rows.items())


def check_the_rest(writes: Sequence[RecordedWrite], chosen: UUID, reverted: set[tuple[str, str, str, str]]) -> None:
    """The other writes alone are left, and set what they had set."""
    left = drop_reverted(writes, [EarlierUndo({chosen}, reverted)])
    assert fold_selected(left, {chosen}).changes == ()
    assert [list_settings(write.changes) for write in left if write.id != chosen] == [
        list_settings(write.reversible) for write in writes if write.id != chosen
    ]


def list_settings(changes: Sequence[RowChange]) -> list[tuple[str, str, dict[str, str | None] | None]]:
    return [(change.verb, change.table, list_set(change.before, change.after)) for change in changes]


def list_set(before: Image | None, after: Image | None) -> dict[str, str | None] | None:
    if after is None:
        return None
    old: Mapping[str, Any] = before.exact if before else {}
    return {name: value for name, value in after.exact.items() if old.get(name, ...) != value}


async def request_undo(bench: Bench, target: dict[str, Any], mode: str = "apply", **options: Any) -> httpx.Response:
    path = f"/api/connections/{bench.connection_id}/undo"
    return await bench.person.post(path, json={"mode": mode, "target": target, **options})


async def undo_writes(bench: Bench, *writes: str, mode: str = "apply", **options: Any) -> httpx.Response:
    return await request_undo(bench, {"writeIds": list(writes)}, mode, **options)


async def list_prices(bench: Bench) -> list[str]:
    rows = await bench.rows("SELECT id || ' ' || amount || ' ' || note AS row FROM prices ORDER BY id")
    return [row["row"] for row in rows]


async def write(agent: BenchAgent, method: str, path: str, body: Any = None) -> tuple[str, str]:
    """Returns the session and the write."""
    written = await agent.write(method, path, body)
    return written.session_id, written.changes[0]["writeId"]


@on_both_backends
async def test_one_write_is_undone_and_the_rest_stays(bench: Bench, agent: BenchAgent, backend: Backend) -> None:
    before = await list_prices(bench)
    session, first = await write(agent, "PATCH", "/prices?id=lte.3", {"amount": 0})
    _, second = await write(agent, "PATCH", "/prices?id=eq.2", {"note": "second"})
    preview = await undo_writes(bench, first, mode="preview")
    assert (preview.json()["planned"], preview.json()["conflicts"]) == (3, [])
    undone = await undo_writes(bench, first, previewToken=preview.json()["previewToken"])
    assert undone.status_code == 200, undone.text
    assert undone.json()["reverted"] == 3
    assert await list_prices(bench) == [line.replace("2.20 n", "2.20 second") for line in before]
    assert (await bench.journal(session))["status"] == "partly_undone"
    again = await undo_writes(bench, first)
    assert (again.status_code, again.json()["code"]) == (409, "already_undone")
    assert again.json()["details"]["undoSessionId"] == undone.json()["undoSessionId"]
    rest = await request_undo(bench, {"sessionId": session})
    assert rest.json()["reverted"] == 1
    assert await list_prices(bench) == before
    expected = {"direct": "undone", "api": "partly_undone"}  # an API cannot restore what a trigger sets
    assert (await bench.journal(session))["status"] == expected[backend]
    assert (await undo_writes(bench, second)).json()["code"] == "already_undone"


@on_both_backends
async def test_a_later_write_of_the_same_column_is_a_conflict(
    bench: Bench, agent: BenchAgent, backend: Backend
) -> None:
    _, first = await write(agent, "PATCH", "/prices?id=eq.1", {"amount": 5})
    await write(agent, "PATCH", "/prices?id=eq.1", {"amount": 7})
    _, last = await write(agent, "PATCH", "/prices?id=eq.1", {"amount": 5})
    refused = await undo_writes(bench, first)
    assert (refused.status_code, refused.json()["code"]) == (409, "undo_conflict")
    (conflict,) = refused.json()["details"]["conflicts"]
    assert conflict["reason"] == "A later write of the same session changed this row, too."
    assert [column["name"] for column in conflict["columns"]] == ["amount"]
    assert (await undo_writes(bench, last)).json()["reverted"] == 1
    assert (await list_prices(bench))[0] == "1 7 n"


@on_both_backends
async def test_one_row_of_a_write_is_undone_and_then_the_rest(
    bench: Bench, agent: BenchAgent, backend: Backend
) -> None:
    before = await list_prices(bench)
    written = await agent.write("PATCH", "/prices?id=lte.3", {"amount": 0})
    _, other = await write(agent, "PATCH", "/prices?id=eq.9", {"note": "x"})
    first, second, _ = (one["id"] for one in sorted(written.changes, key=lambda one: one["primaryKey"]["id"]))
    position = next(one["position"] for one in written.changes if one["id"] == second)
    path = f"/c/{bench.connection_id}/sessions/{written.session_id}"
    query = f"?write={written.changes[0]['writeId']}&row={position}"
    assert f'href="{path}/undo{query.replace("&", "&amp;")}"' in (await bench.person.get(path)).text
    assert "<h1>Undo 1 row of 1 write</h1>" in (await bench.person.get(f"{path}/undo{query}")).text
    assert (await bench.person.get(f"{path}/undo?row={position}")).status_code == 404
    assert (await bench.person.get(f"{path}/undo?write={other}&row={position}")).status_code == 404
    undone = await request_undo(bench, {"mutationIds": [second]})
    assert (undone.status_code, undone.json()["reverted"]) == (200, 1), undone.text
    lines = await list_prices(bench)
    assert (lines[1], lines[0], lines[2]) == (before[1], "1 0 n", "3 0 n")
    assert (await request_undo(bench, {"mutationIds": [second]})).json()["code"] == "already_undone"
    assert (await bench.journal(written.session_id))["status"] == "partly_undone"
    assert (await request_undo(bench, {"mutationIds": [first, second]})).json()["reverted"] == 1
    assert (await request_undo(bench, {"sessionId": written.session_id})).json()["reverted"] == 2
    assert await list_prices(bench) == before
    for wrong, status in (([2**40], 404), ([0], 422), ([], 422)):
        assert (await request_undo(bench, {"mutationIds": wrong})).status_code == status, wrong
    elsewhere = [one["id"] for one in (await agent.write("PATCH", "/prices?id=eq.8", {"note": "x"})).changes]
    assert (await request_undo(bench, {"mutationIds": [first, *elsewhere]})).status_code == 422


async def test_the_rows_that_are_left_are_counted_and_not_their_changes(bench: Bench, agent: BenchAgent) -> None:
    session, first = await write(agent, "PATCH", "/prices?id=eq.1", {"amount": 5})
    _, second = await write(agent, "PATCH", "/prices?id=eq.1", {"note": "x"})
    await write(agent, "PATCH", "/prices?id=eq.2", {"amount": 5})
    await write(agent, "PATCH", "/prices?id=eq.2", {"note": "x"})
    assert (await undo_writes(bench, first, second)).json()["reverted"] == 1
    page = (await bench.person.get(f"/c/{bench.connection_id}/sessions/{session}")).text
    assert "1 of 2 rows were undone" in page
    assert "Review and undo…" in page


async def test_a_session_of_one_write_is_undone_redone_and_undone_again(bench: Bench, agent: BenchAgent) -> None:
    before = await list_prices(bench)
    session, only = await write(agent, "DELETE", "/makers?id=eq.1")
    deleted = await list_prices(bench)
    undo = (await undo_writes(bench, only)).json()["undoSessionId"]
    assert await list_prices(bench) == before
    assert (await bench.journal(session))["status"] == "undone"
    redo = (await request_undo(bench, {"sessionId": undo})).json()["undoSessionId"]
    assert await list_prices(bench) == deleted
    assert (await bench.journal(session))["status"] == "active"
    assert (await bench.journal(undo))["status"] == "undone"
    await request_undo(bench, {"sessionId": redo})
    assert await list_prices(bench) == before
    assert (await bench.journal(session))["status"] == "undone"


async def test_redoing_one_of_two_undos_leaves_the_session_partly_undone(bench: Bench, agent: BenchAgent) -> None:
    before = await list_prices(bench)
    session, first = await write(agent, "PATCH", "/prices?id=eq.1", {"amount": 5})
    _, second = await write(agent, "PATCH", "/prices?id=eq.2", {"amount": 5})
    undos = [(await undo_writes(bench, one)).json()["undoSessionId"] for one in (first, second)]
    assert (await bench.journal(session))["status"] == "undone"
    redo = (await request_undo(bench, {"sessionId": undos[0]})).json()["undoSessionId"]
    assert (await bench.journal(session))["status"] == "partly_undone"
    await request_undo(bench, {"sessionId": undos[1]})
    assert (await bench.journal(session))["status"] == "active"
    assert (await undo_writes(bench, first, second)).json()["reverted"] == 2
    assert await list_prices(bench) == before
    assert redo


async def test_a_row_that_was_skipped_remains_to_be_undone(bench: Bench, agent: BenchAgent) -> None:
    session, first = await write(agent, "PATCH", "/prices?id=lte.2", {"amount": 5})
    await write(agent, "PATCH", "/prices?id=eq.3", {"amount": 5})
    await bench.run("UPDATE prices SET amount = 6 WHERE id = 2")
    assert (await undo_writes(bench, first)).json()["code"] == "undo_conflict"
    skipped = (await undo_writes(bench, first, onConflict="skip")).json()
    assert (skipped["reverted"], skipped["skipped"]) == (1, 1)
    await bench.run("UPDATE prices SET amount = 5 WHERE id = 2")
    await bench.run("UPDATE prices SET amount = 5 WHERE id = 1")
    assert (await undo_writes(bench, first)).json()["reverted"] == 1
    rows = await bench.rows("SELECT amount::text FROM prices WHERE id <= 3 ORDER BY id")
    assert [row["amount"] for row in rows] == ["5", "2.20", "5"]
    rest = (await request_undo(bench, {"sessionId": session})).json()
    assert rest["reverted"] == 1


async def test_what_a_write_inserted_and_another_needs_is_a_conflict(bench: Bench, agent: BenchAgent) -> None:
    _, parent = await write(agent, "POST", "/makers", {"id": 3, "name": "Cy"})
    _, child = await write(agent, "POST", "/prices", {"id": 10, "maker_id": 3, "amount": 1, "note": "n"})
    assert (await undo_writes(bench, parent)).json()["code"] == "undo_conflict"
    assert (await undo_writes(bench, parent, child)).json()["reverted"] == 2


async def test_only_writes_of_one_session_of_this_connection(
    bench: Bench, agent: BenchAgent, workshop: Workshop
) -> None:
    _, first = await write(agent, "PATCH", "/prices?id=eq.1", {"amount": 5})
    other = await bench.agent(name="Other")
    _, second = await write(other, "PATCH", "/prices?id=eq.2", {"amount": 5})
    assert (await undo_writes(bench, first, second)).status_code == 422
    assert (await undo_writes(bench, str(uuid4()))).status_code == 404
    elsewhere = await workshop.bench(SHOP)
    assert (await undo_writes(elsewhere, first)).status_code == 404
    stranger = await bench.product.sign_up(f"{uuid4().hex}@example.com")
    path = f"/api/connections/{bench.connection_id}/undo"
    body = {"mode": "apply", "target": {"writeIds": [first]}}
    assert (await stranger.post(path, json=body)).status_code == 404
    assert (await bench.person.post(path, json={"mode": "apply", "target": {}})).status_code == 422
    undo = (await undo_writes(bench, first)).json()["undoSessionId"]
    (own,) = {one["writeId"] for one in (await bench.journal(undo))["mutations"]}
    assert (await undo_writes(bench, own)).status_code == 422


async def test_two_presses_at_once_do_it_once(bench: Bench, agent: BenchAgent) -> None:
    _, first = await write(agent, "PATCH", "/prices?id=eq.1", {"amount": 5})
    answers = await asyncio.gather(*(undo_writes(bench, first) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {
        "already_undone",
        "undo_running",
    }
    assert (await list_prices(bench))[0] == "1 1.10 n"


async def test_more_writes_do_not_make_the_preview_of_one_stale(bench: Bench, agent: BenchAgent) -> None:
    _, first = await write(agent, "PATCH", "/prices?id=eq.1", {"amount": 5})
    token = (await undo_writes(bench, first, mode="preview")).json()["previewToken"]
    await write(agent, "PATCH", "/prices?id=eq.2", {"amount": 5})
    assert (await undo_writes(bench, first, previewToken=token)).status_code == 200
    _, third = await write(agent, "PATCH", "/prices?id=eq.3", {"amount": 5})
    token = (await undo_writes(bench, third, mode="preview")).json()["previewToken"]
    await bench.run("UPDATE prices SET amount = 9 WHERE id = 3")
    stale = await undo_writes(bench, third, previewToken=token, onConflict="skip")
    assert stale.json()["code"] == "preview_stale"
