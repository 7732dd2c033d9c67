"""Foreign keys whose action leaves a default or empties one column, and keys of which others changed another column."""

import pytest

from basewarden.undo.planning.choices import Choices
from tests.fixtures.bench import Backend, Workshop, on_both_backends
from tests.undo.conftest import OpenWorld
from tests.undo.support import UndoWorld
from tests.undo.test_apply import check_exact
from tests.undo.test_safety import list_conflicts, texts
from tests.undo.test_service import request_undo

_QUEUES = """
    CREATE TABLE queues (id int PRIMARY KEY, name text);
    CREATE TABLE tickets (id int PRIMARY KEY, queue_id int DEFAULT 0 REFERENCES queues ON DELETE SET DEFAULT, about text);
    INSERT INTO queues VALUES (0, 'inbox'), (1, 'billing'), (2, 'returns');
    INSERT INTO tickets VALUES (10, 1, 'a'), (11, 1, 'b'), (12, 1, 'c'), (13, 2, 'd'), (14, 0, 'e');
"""
_ARTICLES = """
    CREATE TABLE authors (org int, id int, name text, PRIMARY KEY (org, id));
    CREATE TABLE articles (id int PRIMARY KEY, org int NOT NULL, author int, title text,
        FOREIGN KEY (org, author) REFERENCES authors ON DELETE SET NULL (author));
    INSERT INTO authors VALUES (1, 1, 'Ada'), (1, 2, 'Bob'), (2, 1, 'Cleo');
    INSERT INTO articles VALUES (10, 1, 1, 'a'), (11, 1, 1, 'b'), (12, 1, 2, 'c'), (13, 2, 1, 'd');
"""
_MIXED = "The foreign key (org, author) to public.authors would combine the earlier author with the newer org."


@on_both_backends
async def test_rows_at_the_default_return_to_their_parent(workshop: Workshop, backend: Backend) -> None:
    """Only those that the session's delete sent there, and that are still there."""
    bench = await workshop.bench(_QUEUES)
    agent = await bench.agent()
    session = (await agent.write("DELETE", "/queues?id=eq.1")).session_id
    assert await texts(bench, "tickets") == ["(10,0,a)", "(11,0,b)", "(12,0,c)", "(13,2,d)", "(14,0,e)"]
    await bench.run("UPDATE tickets SET queue_id = 2 WHERE id = 11; UPDATE tickets SET about = 'C' WHERE id = 12")
    await bench.run("INSERT INTO tickets VALUES (15, 0, 'f')")
    refused = await request_undo(bench, session)
    assert refused.status_code == 409
    assert list_conflicts(refused) == [("tickets", "The column queue_id was changed after the session's write.")]
    skipped = (await request_undo(bench, session, onConflict="skip")).json()
    assert (skipped["reverted"], skipped["skipped"]) == (3, 1)
    assert await texts(bench, "queues") == ["(0,inbox)", "(1,billing)", "(2,returns)"]
    assert await texts(bench, "tickets") == ["(10,1,a)", "(11,2,b)", "(12,1,C)", "(13,2,d)", "(14,0,e)", "(15,0,f)"]


async def test_an_earlier_and_a_newer_column_are_not_combined_to_the_key_of_another_row(workshop: Workshop) -> None:
    """An API describes no foreign key of several columns, so this holds on a database connection."""
    bench = await workshop.bench(_ARTICLES)
    agent = await bench.agent()
    session = (await agent.write("DELETE", "/authors?org=eq.1&id=eq.1")).session_id
    assert await texts(bench, "articles") == ["(10,1,,a)", "(11,1,,b)", "(12,1,2,c)", "(13,2,1,d)"]
    await bench.run("UPDATE articles SET org = 2 WHERE id = 11; UPDATE articles SET title = 'A' WHERE id = 10")
    (conflict,) = (await request_undo(bench, session, mode="preview")).json()["conflicts"]
    assert (conflict["primaryKey"], conflict["reason"]) == ({"id": 11}, _MIXED)
    refused = await request_undo(bench, session)
    assert refused.status_code == 409
    assert list_conflicts(refused) == [("articles", _MIXED)]
    skipped = (await request_undo(bench, session, onConflict="skip")).json()
    assert (skipped["reverted"], skipped["skipped"]) == (2, 1)
    assert await texts(bench, "authors") == ["(1,1,Ada)", "(1,2,Bob)", "(2,1,Cleo)"]
    assert await texts(bench, "articles") == ["(10,1,1,A)", "(11,2,,b)", "(12,1,2,c)", "(13,2,1,d)"]


async def _list_reasons(world: UndoWorld) -> list[tuple[str, tuple[str, ...], str]]:
    return [(one.table, one.key, one.reason) for one in (await world.plan()).conflicts]


async def test_a_deleted_row_is_not_restored_with_a_combined_key(open_world: OpenWorld) -> None:
    """The session emptied one column before it deleted the row; in between, others set the other column."""
    world = await open_world(_ARTICLES)
    await world.act("UPDATE articles SET author = NULL WHERE id = 11;", sets=("author",))
    await world.run("UPDATE articles SET org = 2 WHERE id = 11;")
    await world.act("DELETE FROM articles WHERE id = 11;")
    assert await _list_reasons(world) == [("articles", ("11",), _MIXED)]


async def test_a_choice_restores_no_combined_key(open_world: OpenWorld) -> None:
    world = await open_world(_ARTICLES)
    await world.act("UPDATE articles SET author = 2 WHERE id = 11;", sets=("author",))
    await world.run("UPDATE articles SET org = 2, author = NULL WHERE id = 11;")
    (conflict,) = (await world.plan()).conflicts
    assert conflict.reason == "The column author was changed after the session's write."
    before = await world.digest()
    plan, applied = await world.undo(skip=True, choices=Choices(frozenset({conflict.id or ""})))
    assert ([one.reason for one in plan.conflicts], applied is not None) == ([_MIXED], True)
    assert await world.digest() == before


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE articles SET org = 2 WHERE id = 11;\nUPDATE articles SET org = 1 WHERE id = 11;",
        "UPDATE articles SET org = 2, author = 1 WHERE id = 11;",
    ],
    ids=["the key from before the session", "the key that the row has now"],
)
async def test_a_key_that_was_chosen_is_no_conflict(open_world: OpenWorld, edit: str) -> None:
    world = await open_world(_ARTICLES)
    await world.act("DELETE FROM authors WHERE (org, id) = (1, 1);")
    await world.run(edit)
    plan, applied = await world.undo()
    assert (plan.conflicts, applied is not None) == ((), True)


_ORGS = """
    CREATE TABLE orgs (id int PRIMARY KEY);
    CREATE TABLE authors (org int REFERENCES orgs ON UPDATE CASCADE, id int, PRIMARY KEY (org, id));
    CREATE TABLE articles (id int PRIMARY KEY, org int NOT NULL REFERENCES orgs ON UPDATE CASCADE, author int,
        FOREIGN KEY (org, author) REFERENCES authors ON UPDATE CASCADE);
    INSERT INTO orgs VALUES (1), (2);
    INSERT INTO authors VALUES (1, 1), (1, 2), (2, 1);
    INSERT INTO articles VALUES (10, 1, 1), (11, 1, 1), (12, 1, 2);
"""


@pytest.mark.parametrize("left", ["2", "NULL"])
async def test_a_column_that_followed_its_parent_is_no_conflict(open_world: OpenWorld, left: str) -> None:
    """Others gave the organisation another number: the earlier author has it, too."""
    world = await open_world(_ORGS)
    await world.act(f"UPDATE articles SET author = {left} WHERE id = 11;", sets=("author",))
    await world.run("UPDATE orgs SET id = 5 WHERE id = 1;")
    plan, applied = await world.undo()
    assert (plan.conflicts, applied is not None) == ((), True)
    assert await world.read_column("SELECT articles::text FROM articles ORDER BY id") == [
        "(10,5,1)",
        "(11,5,1)",
        "(12,5,2)",
    ]


async def test_a_column_that_others_set_although_it_can_follow_is_a_conflict(open_world: OpenWorld) -> None:
    world = await open_world(_ORGS)
    await world.act("UPDATE articles SET author = NULL WHERE id = 11;", sets=("author",))
    await world.run("UPDATE articles SET org = 2 WHERE id = 11;")
    assert await _list_reasons(world) == [("articles", ("11",), _MIXED)]


async def test_a_parent_that_the_session_renamed_carries_who_came_to_it(open_world: OpenWorld) -> None:
    """Others chose another author of the organisation that the session renamed; undo renames both."""
    world = await open_world(_ORGS)
    await world.act(
        "UPDATE orgs SET id = 9 WHERE id = 1;",
        moves={("1",): ("9",), ("1", "1"): ("9", "1"), ("1", "2"): ("9", "2")},
    )
    await world.run("UPDATE articles SET author = 2 WHERE id = 11;")
    plan, applied = await world.undo()
    assert (plan.conflicts, applied is not None) == ((), True)
    assert await world.read_column("SELECT articles::text FROM articles ORDER BY id") == [
        "(10,1,1)",
        "(11,1,2)",
        "(12,1,2)",
    ]


async def test_a_session_that_changed_each_column_by_itself_is_undone(open_world: OpenWorld) -> None:
    world = await open_world(_ARTICLES)
    before = await world.digest()
    await world.act("UPDATE articles SET author = NULL WHERE id < 13;", sets=("author",))
    await world.act("UPDATE articles SET org = 2 WHERE id < 13;", sets=("org",))
    await world.act("UPDATE articles SET author = 1 WHERE id = 10;", sets=("author",))
    await check_exact(world, before)
