"""What the pages say of a session that was recorded over a project's own API."""

from uuid import UUID

import pytest

from basewarden.journal import Image, IntentOutcome, Recorded, Recorder, RowChange, SessionCaller, WriteEntry
from tests.fixtures.bench import Bench, Workshop

BEFORE = Image({"id": "1", "x": "before it"}, b'{"id":1,"x":"before it"}')


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench("CREATE TABLE t (id int PRIMARY KEY, x text);\nINSERT INTO t VALUES (1, 'now')")


async def record(bench: Bench, verb: str, *rows: RowChange) -> Recorded:
    agent = await bench.agent()
    caller = SessionCaller(
        UUID(bench.connection_id), "agent", UUID(agent.id), "Robot", label="nightly", capture="representation"
    )
    recorder = bench.product.registry.get(Recorder)
    entry = WriteEntry(caller, None, verb, "public", "t", f"{verb} of t", rows)
    return await recorder.record(entry)


async def settle(bench: Bench, recorded: Recorded, state: str) -> None:
    recorder = bench.product.registry.get(Recorder)
    await recorder.store_outcome(
        IntentOutcome(recorded, UUID(bench.connection_id), "unknown" if state == "unknown" else "aborted")
    )


async def read_page(bench: Bench, session_id: UUID, rest: str = "") -> str:
    answer = await bench.person.get(f"/c/{bench.connection_id}/sessions/{session_id}{rest}")
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_a_write_whose_answer_was_lost_shows_the_rows_as_they_were(bench: Bench) -> None:
    recorded = await record(bench, "update", RowChange("public", "t", "update", ("id",), BEFORE, None))
    page = await read_page(bench, recorded.session_id)
    assert "Some writes are pending" in page
    assert "The outcome of 1 write is not known yet, with 1 row." in page
    await settle(bench, recorded, "unknown")
    page = await read_page(bench, recorded.session_id)
    for words in (
        "best effort",
        "Recorded through the project&#39;s API",
        "The outcome of some writes is unknown",
        "1 write with 1 row: the response was lost.",
        "before it",
        "Its new values are unknown.",
    ):
        assert words in page, words
    undo = await read_page(bench, recorded.session_id, "/undo")
    assert "1 row of writes whose outcome is unknown." in undo


async def test_an_insert_whose_answer_was_lost_is_shown_without_rows(bench: Bench) -> None:
    recorded = await record(bench, "insert")
    await settle(bench, recorded, "unknown")
    page = await read_page(bench, recorded.session_id)
    assert "1 write: the response was lost." in page
    assert "insert of t" in page
    undo = await read_page(bench, recorded.session_id, "/undo")
    assert "1 write without known rows, whose outcome is unknown." in undo


async def test_a_write_that_was_refused_is_not_counted(bench: Bench) -> None:
    recorded = await record(bench, "insert")
    assert "0 rows in 1 write<" in await read_page(bench, recorded.session_id)
    await settle(bench, recorded, "aborted")
    assert "0 rows in 0 writes<" in await read_page(bench, recorded.session_id)


async def test_the_api_has_the_capture_and_the_state(bench: Bench) -> None:
    recorded = await record(bench, "update", RowChange("public", "t", "update", ("id",), BEFORE, None))
    await settle(bench, recorded, "unknown")
    journal = await bench.journal(str(recorded.session_id))
    assert (journal["capture"], journal["unknownCount"], journal["writes"][0]["state"]) == (
        "representation",
        1,
        "unknown",
    )
    ((before, after),) = [(one["before"], one["after"]) for one in journal["mutations"]]
    assert (before, after) == ({"id": 1, "x": "before it"}, None)
