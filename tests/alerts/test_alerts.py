"""Alerts over the API: made, listed and deleted by editors of the connection, and by no one else."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.alerts.conftest import ALL_EVENTS, NOTES, THANKS, add_alert, block, create
from tests.fakes.hostile import HostileExchange, HostileServer
from tests.fixtures.app import read_refusal
from tests.fixtures.bench import Workshop


async def test_an_alert_is_made_listed_and_deleted(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    path = f"/api/connections/{bench.connection_id}/alerts"
    assert (await bench.person.get(path)).json() == {"alerts": [], "nextCursor": None}
    target = f"{receiver.url}/hook/0123456789abcdef"
    answer = await create(bench, target=target, events=["undo_finished", "write_refused", "undo_finished"])
    made = answer.json()
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert (made["channel"], made["events"]) == ("webhook", ["undo_finished", "write_refused"])
    assert made["target"] == f"127.0.0.1:{receiver.port}/\u2026cdef"
    listed = await bench.person.get(path)
    assert listed.json()["alerts"] == [{**made, "state": "working"}]
    assert "0123456789" not in listed.text
    assert secret not in listed.text
    assert [(await bench.person.delete(f"{path}/{made['id']}")).status_code for _ in range(2)] == [204, 404]
    assert (await bench.person.get(path)).json()["alerts"] == []


async def test_only_editors_and_owners_have_alerts(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)
    message = await alert.test()
    viewer, editor = await bench.member("viewer"), await bench.member("editor")
    stranger, visitor = await bench.product.sign_up(f"{uuid4().hex}@example.com"), await bench.product.client()
    page = alert.path.replace("/api/connections/", "/c/")
    calls = [
        ("GET", alert.path.rpartition("/")[0]),
        ("POST", alert.path.rpartition("/")[0]),
        ("DELETE", alert.path),
        *(("POST", f"{alert.path}/{action}") for action in ("test", "enable", "secret")),
        ("GET", f"{alert.path}/deliveries"),
        ("POST", f"{alert.path}/deliveries/{message['id']}/resend"),
        ("GET", page),
        ("GET", page.rpartition("/")[0]),
        ("GET", f"{page}/delete"),
        *(("POST", f"{page}/{action}") for action in ("delete", "test", "enable", "secret")),
    ]
    for who, *expected in ((viewer, 403), (stranger, 404), (visitor, 401, 303)):
        for method, path in calls:
            body = {"channel": "slack", "events": ["undo_finished"]} if path.startswith("/api/") else None
            answer = await who.request(method, path, headers={"accept": "application/json"}, json=body)
            assert answer.status_code in expected, f"{method} {path}: {answer.status_code}"
    assert len(receiver.heard) == 1
    assert (await editor.post(f"{alert.path}/test")).json()["state"] == "delivered"
    assert (await editor.delete(alert.path)).status_code == 204
    navigation = [(await who.get(f"/c/{bench.connection_id}")).text for who in (viewer, editor)]
    assert [f"/c/{bench.connection_id}/alerts" in text for text in navigation] == [False, True]
    found = [
        (await who.get("/palette", params={"q": "webhook", "in": bench.connection_id})).text for who in (viewer, editor)
    ]
    assert [f"/c/{bench.connection_id}/alerts" in text for text in found] == [False, True]


async def test_an_alert_of_another_connection_is_not_there(workshop: Workshop, receiver: HostileServer) -> None:
    bench, other = await workshop.bench(NOTES), await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)
    foreign = alert.path.replace(bench.connection_id, other.connection_id)
    for method, path in (
        ("DELETE", foreign),
        ("POST", f"{foreign}/test"),
        ("POST", f"{foreign}/enable"),
        ("POST", f"{foreign}/secret"),
        ("GET", f"{foreign}/deliveries"),
        ("DELETE", alert.path[:-1]),
        ("POST", f"{alert.path[:-4]}/test"),
    ):
        assert (await bench.person.request(method, path)).status_code == 404, path
    assert receiver.heard == []
    assert (await alert.read())["state"] == "working"


BAD: list[tuple[dict[str, Any], str]] = [
    ({"channel": "pigeon"}, "channel"),
    ({"channel": None}, "channel"),
    ({"events": []}, "events"),
    ({"events": "undo_finished"}, "events"),
    ({"events": ["schema_lost"]}, "events.0"),
    ({"events": ["undo_finished", "schema_lost"]}, "events.1"),
    ({"events": ["x" * 100]}, "events.0"),
    ({"events": ["undo_finished"] * 21}, "events"),
    ({"events": [1]}, "events.0"),
    ({"target": 5}, "target"),
    ({"target": ["https://example.com"]}, "target"),
    ({"target": f"https://example.com/{'x' * 3000}"}, "target"),
    ({"secret": "whsec_x"}, "secret"),
]


@pytest.mark.parametrize(("change", "field"), BAD, ids=[str(change)[:40] for change, _ in BAD])
async def test_what_does_not_fit_is_named(workshop: Workshop, change: dict[str, Any], field: str) -> None:
    bench = await workshop.bench(NOTES)
    answer = await create(bench, **{"target": "http://127.0.0.1:9/hook", **change})
    assert read_refusal(answer) == (422, "validation_failed")
    assert [one["field"] for one in answer.json()["details"]] == [field]


async def test_an_event_that_never_happens_is_refused_by_name(workshop: Workshop) -> None:
    bench = await workshop.bench(NOTES)
    answer = await create(bench, target="http://127.0.0.1:9/hook", events=["schema_lost"])
    message = answer.json()["details"][0]["message"]
    assert message == f"must be one of {', '.join(ALL_EVENTS)}"


async def test_one_target_has_one_alert_also_where_two_ask_at_once(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    target = f"{receiver.url}/hook"
    answers = await asyncio.gather(*(create(bench, target=target) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {answer.json().get("code") for answer in answers} == {None, "alert_exists"}


async def test_a_connection_has_ten_alerts_at_most(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    answers = [await create(bench, target=f"{receiver.url}/{number}") for number in range(9)]
    answers += await asyncio.gather(*(create(bench, target=f"{receiver.url}/{number}") for number in range(9, 12)))
    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 2
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"too_many_alerts"}


async def test_a_test_says_what_the_target_answered(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)
    tested = await alert.test()
    assert (tested["event"], tested["state"], tested["status"], tested["answer"]) == (
        "test",
        "delivered",
        200,
        "thanks",
    )
    assert b'"type":"test"' in receiver.heard[0].body
    await block(bench)
    await alert.wait(event="write_refused", state="delivered")
    assert [one["event"] for one in await alert.messages()] == ["write_refused", "test"]


async def test_tests_are_limited(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)
    answers = [await bench.person.post(f"{alert.path}/test") for _ in range(61)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_an_alert_that_is_deleted_while_it_is_tested(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)

    async def delete_first(turn: HostileExchange) -> None:
        assert (await bench.person.delete(alert.path)).status_code == 204
        await turn.send(THANKS)

    receiver.behave = delete_first
    assert (await bench.person.post(f"{alert.path}/test")).status_code == 404


async def test_messages_have_pages(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)
    ids = [(await alert.test())["id"] for _ in range(5)]
    seen, cursor = [], None
    while True:
        query_string = f"?limit=2&cursor={cursor}" if cursor else "?limit=2"
        page = (await bench.person.get(f"{alert.path}/deliveries{query_string}")).json()
        seen += [one["id"] for one in page["deliveries"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == ids[::-1]
    assert (await bench.person.get(f"{alert.path}/deliveries?limit=0")).status_code == 422


async def test_a_secret_is_for_webhooks_only(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, channel="discord")
    assert alert.secret == ""
    assert read_refusal(await bench.person.post(f"{alert.path}/secret")) == (409, "not_signed")
    await alert.test()
    assert "webhook-signature" not in receiver.heard[0].headers


async def test_targets_and_secrets_are_sealed(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, "/hook/0123456789abcdef")
    assert (await bench.person.post(f"{alert.path}/secret")).is_success
    [row] = await bench.query("SELECT a.*::text FROM alerts AS a WHERE id = %s", alert.id)
    assert "0123456789" not in str(row)
    assert alert.secret not in str(row)
    sealed = "SELECT sealed_target IS NOT NULL AND sealed_secret IS NOT NULL AND sealed_old_secret IS NOT NULL"
    assert await bench.query(f"{sealed} FROM alerts WHERE id = %s", alert.id) == [(True,)]


async def test_what_is_done_is_on_record(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)
    await bench.person.post(f"{alert.path}/secret")
    await bench.person.delete(alert.path)
    page = (await bench.person.get("/settings/account/activity")).text
    for words in ("Created an alert", "Rotated the signing secret of an alert", "Deleted an alert"):
        assert words in page


async def test_alerts_go_with_their_connection(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)
    await alert.test()
    assert (await bench.person.delete(f"/api/connections/{bench.connection_id}")).status_code == 204
    assert await bench.query("SELECT 1 FROM alerts WHERE id = %s", alert.id) == []
    assert await bench.query("SELECT 1 FROM alert_deliveries WHERE alert_id = %s", alert.id) == []
