"""Events become messages: each one, at once or together with those that follow soon, and none for connections without alerts."""

from uuid import UUID

import psycopg
import pytest

from basewarden.alerts.collecting import AlertCollector
from basewarden.alerts.digest import FAILING_PAUSE, MAX_MESSAGES_AN_HOUR, PAUSE, RecentMessages, is_due
from basewarden.journal import RefusalLog
from tests.alerts.conftest import NOTES, add_alert, block, check_signature, receive
from tests.fakes.hostile import HostileServer
from tests.fixtures.bench import Bench, Workshop
from tests.journal.test_freezing import ask, use_up


async def pass_time(bench: Bench) -> None:
    """Lets the pause after each message end, and collects what waits."""
    await bench.query(
        "UPDATE alert_deliveries SET created_at = created_at - interval '6 minutes'"
        " WHERE alert_id IN (SELECT id FROM alerts WHERE connection_id = %s)",
        bench.connection_id,
    )
    await bench.product.registry.get(AlertCollector).collect(UUID(bench.connection_id))


async def test_a_session_that_uses_up_its_budget_is_a_message(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES, name="Shop")
    alert = await add_alert(bench, receiver, events=["session_frozen"])
    agent, session = await use_up(bench)
    [message] = await receive(receiver)
    home = f"{bench.product.settings.origin}/c/{bench.connection_id}"
    assert message["type"] == "session_frozen"
    data = message["data"]
    assert (data["title"], data["count"], data["moreItems"]) == ("1 session was frozen on Shop", 1, 0)
    assert data["connection"] == {"id": bench.connection_id, "name": "Shop", "environment": "other"}
    [item] = data["items"]
    assert item["text"] == "Robot: Added 2 notes. Frozen, because it has used up its budget."
    assert item["url"] == data["url"] == f"{home}/sessions/{session}"
    assert item["facts"] == {
        "sessionId": session,
        "agentId": agent.id,
        "caller": "Robot",
        "reason": "budget",
        "summary": "Added 2 notes",
    }
    [heard] = receiver.heard
    assert (heard.method, heard.target, heard.headers["content-type"]) == ("POST", "/hook", "application/json")
    delivered = await alert.wait(state="delivered")
    assert check_signature(heard, alert.secret) == delivered["id"]
    assert (delivered["status"], delivered["answer"], delivered["attempts"]) == (200, "thanks", 1)
    assert (await alert.read())["state"] == "working"


async def test_a_freeze_that_is_released_at_once_is_a_message_too(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    agent = await bench.agent()
    session = (await agent.http.post("/notes", json={"id": 1})).headers["x-basewarden-session"]
    await add_alert(bench, receiver)
    await ask(bench, session, "freeze")
    await ask(bench, session, "release")
    [message] = await receive(receiver)
    assert message["data"]["items"][0]["text"].endswith("Frozen, because a member has frozen it.")


async def test_blocked_requests_and_undos_are_messages(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    await add_alert(bench, receiver)
    await block(bench, times=3)
    [blocked] = await receive(receiver)
    assert (blocked["type"], blocked["data"]["title"]) == ("write_refused", "3 requests were blocked on Bench")
    assert (
        blocked["data"]["items"][0]["text"]
        == "Reader: add to notes (3 times). Blocked, because the token is read-only."
    )
    agent = await bench.agent(name="Writer")
    write = await agent.write("POST", "/notes", {"id": 77, "body": "a value of a row"})
    path = f"/api/connections/{bench.connection_id}/sessions/{write.session_id}/undo"
    undo = (await bench.person.post(path, json={"mode": "apply"})).json()["undoSessionId"]
    undone = (await receive(receiver, 2))[1]
    assert undone["type"] == "undo_finished"
    facts = undone["data"]["items"][0]["facts"]
    assert (facts["undoSessionId"], facts["sessionId"]) == (undo, write.session_id)
    assert (facts["reverted"], facts["skipped"], facts["isRedo"]) == (1, 0, False)
    assert all(b"a value of a row" not in heard.body for heard in receiver.heard)


async def test_what_an_agent_calls_its_session_is_in_no_message(workshop: Workshop, receiver: HostileServer) -> None:
    """Its text would arrive in an email of ours."""
    bench = await workshop.bench(NOTES)
    await add_alert(bench, receiver)
    agent = await bench.agent(maxWritesPerSession=1)
    for number in (1, 2):
        await agent.http.post(
            "/notes", json={"id": number}, headers={"x-basewarden-session": "sign in at evil.example"}
        )
    write = await agent.write("POST", "/notes", {"id": 3}, headers={"x-basewarden-session": "lured by evil.example"})
    path = f"/api/connections/{bench.connection_id}/sessions/{write.session_id}/undo"
    assert (await bench.person.post(path, json={"mode": "apply"})).is_success
    await receive(receiver, 2)
    assert all(b"evil.example" not in heard.body for heard in receiver.heard)


async def test_a_sentence_that_an_agent_asks_for_as_a_table_is_in_no_message(
    workshop: Workshop, receiver: HostileServer
) -> None:
    """Refused whether there is such a table or not, so its name is a text of the agent's choice."""
    bench = await workshop.bench(NOTES)
    await add_alert(bench, receiver, events=["write_refused"])
    agent = await bench.agent(name="Reader", access="read", tables=["notes"])
    for path in ("/Your account was hacked, call 555", "/rpc/Please sign in again at evil", "/evil"):
        assert (await agent.http.post(path, json={})).status_code == 403
    await bench.product.registry.get(RefusalLog).flush()
    [message] = await receive(receiver)
    texts = [item["text"] for item in message["data"]["items"]]
    assert sorted(text.partition(".")[0] for text in texts) == [
        "Reader: add to a function",
        "Reader: add to a table",
        "Reader: add to evil",
    ]
    assert b"hacked" not in receiver.heard[0].body
    assert b"sign in" not in receiver.heard[0].body


async def test_only_chosen_events_of_the_own_connection_are_messages(
    workshop: Workshop, receiver: HostileServer
) -> None:
    bench, other = await workshop.bench(NOTES), await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, events=["undo_finished"])
    await add_alert(bench, receiver, "/chosen", events=["write_refused"])
    await block(other)
    await block(bench)
    await receive(receiver)
    await bench.product.registry.get(AlertCollector).sweep()
    assert [heard.target for heard in receiver.heard] == ["/chosen"]
    assert await alert.messages() == []
    assert await bench.query("SELECT count(*) FROM alert_events WHERE alert_id = %s", alert.id) == [(0,)]


async def test_events_that_follow_soon_share_one_message(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, events=["write_refused"])
    await block(bench)
    await receive(receiver)
    await block(bench, times=2)
    await block(bench, times=3)
    await bench.product.registry.get(AlertCollector).collect(UUID(bench.connection_id))
    assert len(await alert.messages()) == 1
    await pass_time(bench)
    second = (await receive(receiver, 2))[1]
    assert (second["data"]["count"], len(second["data"]["items"])) == (5, 2)
    assert len(await alert.messages()) == 2


async def test_many_things_are_counted_and_ten_are_named(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    await add_alert(bench, receiver, events=["write_refused"])
    await block(bench)
    await receive(receiver)
    for _ in range(12):
        await block(bench)
    await pass_time(bench)
    second = (await receive(receiver, 2))[1]
    assert (second["data"]["count"], len(second["data"]["items"]), second["data"]["moreItems"]) == (12, 10, 2)
    assert second["data"]["url"].endswith(f"/c/{bench.connection_id}/refusals")


async def test_an_event_of_a_newer_release_waits_for_it_and_holds_up_no_other(
    workshop: Workshop, receiver: HostileServer
) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, events=["write_refused"])
    await bench.query(
        "INSERT INTO alert_events (alert_id, event, subject_id, count)"
        " VALUES (%s, 'a_newer_one', gen_random_uuid(), 1)",
        alert.id,
    )
    await block(bench)
    [message] = await receive(receiver)
    assert message["type"] == "write_refused"
    assert await bench.query("SELECT event FROM alert_events WHERE alert_id = %s", alert.id) == [("a_newer_one",)]


async def test_an_alert_with_an_event_of_a_newer_release_is_shown(workshop: Workshop, receiver: HostileServer) -> None:
    """While a release rolls out, or after it was taken back."""
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, events=["write_refused"])
    await bench.query("UPDATE alerts SET events = events || '{of_a_newer_release}' WHERE id = %s", alert.id)
    assert (await alert.read())["events"] == ["write_refused"]
    for page in ("alerts", f"alerts/{alert.id}"):
        answer = await bench.person.get(f"/c/{bench.connection_id}/{page}")
        assert (answer.status_code, "Request blocked" in answer.text) == (200, True)


async def test_an_alert_that_is_off_collects_nothing(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)
    await bench.query("UPDATE alerts SET disabled_at = now(), disabled_reason = 'failing' WHERE id = %s", alert.id)
    await block(bench)
    assert (await bench.person.post(f"{alert.path}/enable")).json()["state"] == "working"
    await bench.product.registry.get(AlertCollector).sweep()
    assert await alert.messages() == []
    await block(bench)
    await receive(receiver)


async def test_a_deleted_alert_holds_up_no_event(workshop: Workshop, receiver: HostileServer) -> None:
    """The freeze is stored while the deletion of the alert has not been committed."""
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)
    dsn = bench.product.settings.database_url.reveal()
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("DELETE FROM alerts WHERE id = %s", (alert.id,))
        _, session = await use_up(bench)
        assert (await bench.journal(session))["status"] == "frozen"
        await connection.rollback()
    assert await alert.messages() == []


async def test_processes_that_hear_of_an_event_at_once_make_one_message(
    workshop: Workshop, receiver: HostileServer
) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, events=["write_refused"])
    await block(bench)
    collector = bench.product.registry.get(AlertCollector)
    for _ in range(3):
        await collector.collect(UUID(bench.connection_id))
    await alert.wait(state="delivered")
    assert len(receiver.heard) == 1


@pytest.mark.parametrize(
    ("recent", "failing", "due"),
    [
        (RecentMessages(), False, True),
        (RecentMessages(PAUSE / 2, 1), False, False),
        (RecentMessages(PAUSE, 1), False, True),
        (RecentMessages(PAUSE, 1), True, False),
        (RecentMessages(FAILING_PAUSE, 1), True, True),
        (RecentMessages(None, MAX_MESSAGES_AN_HOUR), False, False),
        (RecentMessages(None, MAX_MESSAGES_AN_HOUR - 1), False, True),
    ],
)
def test_when_events_are_due(recent: RecentMessages, failing: bool, due: bool) -> None:
    assert is_due(recent, is_failing=failing) is due


async def test_an_event_of_a_transaction_that_rolls_back_is_none(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    agent = await bench.agent()
    session = (await agent.http.post("/notes", json={"id": 1})).headers["x-basewarden-session"]
    alert = await add_alert(bench, receiver)
    dsn = bench.product.settings.database_url.reveal()
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("UPDATE journal_sessions SET frozen_at = now() WHERE id = %s", (session,))
        found = await connection.execute("SELECT event FROM alert_events WHERE alert_id = %s", (alert.id,))
        assert await found.fetchall() == [("session_frozen",)]
        await connection.rollback()
    await bench.product.registry.get(AlertCollector).sweep()
    assert await alert.messages() == []
    assert receiver.heard == []
