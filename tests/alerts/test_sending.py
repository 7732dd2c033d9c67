"""Messages reach receivers that fail, lie or mean harm: signed, tried again, given up in time, never to a private address."""

import asyncio
import json
import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from basewarden.alerts.collecting import AlertCollector
from basewarden.alerts.models import AlertChannel
from basewarden.alerts.requests import SendResult, make_headers, send_request
from basewarden.alerts.sending import MAX_SENDING, RETRY, AlertSender, NotDeliveredYet
from basewarden.alerts.targets import parse_saved_target, parse_target
from basewarden.web.assets import find_node
from tests.alerts.conftest import NOTES, THANKS, BenchAlert, add_alert, block, check_signature, create, receive
from tests.fakes.hostile import Behave, HostileExchange, HostileServer, always, make_answer, serve_hostile
from tests.fakes.hostile_rest import BEHAVIOURS
from tests.fixtures.bench import OwnWorkshop, Workshop
from tests.fixtures.mail import make_certificate
from tests.fixtures.ports import reserve_port
from tests.fixtures.waiting import wait_until
from tests.rules.sources import CHECKOUT


async def post_to(server: HostileServer, *, allow_private: bool = True, path: str = "/hook") -> SendResult:
    target = parse_saved_target(f"{server.url}{path}")
    return await send_request(target, AlertChannel.WEBHOOK, b"{}", {}, allow_private=allow_private)


async def try_again(alert: BenchAlert, message: dict[str, Any]) -> None:
    """One attempt more, as the job makes it when its time has come."""
    await alert.bench.product.registry.get(AlertSender)._run_send({"delivery_id": message["id"]})


async def test_a_message_is_tried_again_with_the_same_id(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, events=["write_refused"])
    receiver.behave = always(make_answer(503, b"<b>later</b>", "text/html"))
    await block(bench)
    failed = await alert.wait(attempts=1, status=503)
    assert (failed["state"], failed["error"], failed["answer"]) == ("queued", "It answered 503.", "<b>later</b>")
    found = await alert.read()
    assert (found["state"], found["failingSince"] is not None) == ("failing", True)
    with pytest.raises(NotDeliveredYet):
        await try_again(alert, failed)
    receiver.behave = always(THANKS)
    await try_again(alert, failed)
    delivered = await alert.wait(state="delivered", attempts=3)
    assert (delivered["status"], delivered["error"]) == (200, None)
    assert (await alert.read())["state"] == "working"
    await try_again(alert, failed)
    assert [check_signature(heard, alert.secret) for heard in receiver.heard] == [failed["id"]] * 3
    assert len({heard.body for heard in receiver.heard}) == 1


async def test_a_message_is_given_up_after_a_day(workshop: Workshop, receiver: HostileServer) -> None:
    waits = [RETRY.find_wait(tried) for tried in range(1, RETRY.attempts)]
    total = sum((wait for wait in waits if wait is not None), timedelta())
    assert timedelta(hours=18) < total < timedelta(hours=31)
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, events=["write_refused"])
    receiver.behave = always(make_answer(500, b""))
    await block(bench)
    message = await alert.wait(attempts=1, status=500)
    await bench.query("UPDATE alert_deliveries SET attempts = 7 WHERE id = %s", message["id"])
    await try_again(alert, message)
    assert (await alert.wait(state="failed"))["attempts"] == RETRY.attempts
    assert (await alert.read())["state"] == "failing"


async def test_a_message_whose_job_was_lost_does_not_wait_for_ever(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, events=["write_refused"])
    receiver.behave = always(make_answer(500, b""))
    await block(bench)
    message = await alert.wait(attempts=1, status=500)
    sender = bench.product.registry.get(AlertSender)
    for hours, state in ((47, "queued"), (49, "failed")):
        change = f"UPDATE alert_deliveries SET attempted_at = now() - interval '{hours} hours' WHERE id = %s"
        await bench.query(change, message["id"])
        await sender.end_lost()
        assert [one["state"] for one in await alert.messages()] == [state]


async def test_a_target_that_fails_for_days_is_turned_off(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, events=["write_refused"])
    receiver.behave = always(make_answer(500, b""))
    await block(bench)
    message = await alert.wait(attempts=1, status=500)
    await bench.query("UPDATE alerts SET failing_since = now() - interval '73 hours' WHERE id = %s", alert.id)
    await try_again(alert, message)
    found = await alert.read()
    assert (found["state"], found["disabledReason"]) == ("disabled", "failing")
    assert (await alert.wait(state="failed"))["attempts"] == 2
    await block(bench)
    await bench.product.registry.get(AlertCollector).collect(UUID(bench.connection_id))
    assert len(await alert.messages()) == 1


async def test_a_target_that_is_gone_is_turned_off_at_once(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    gone = await add_alert(bench, receiver, events=["write_refused"])
    missing = await add_alert(bench, receiver, "/missing", events=["undo_finished"])
    lost = await add_alert(bench, receiver, "/slack", channel="slack", events=["undo_finished"])
    receiver.behave = always(make_answer(410, b"gone"))
    await block(bench)
    await gone.wait(state="failed", status=410)
    assert ((await gone.read())["disabledReason"], len(receiver.heard)) == ("gone", 1)
    receiver.behave = always(make_answer(404, b"no_service"))
    assert (await missing.test(), await lost.test())[1]["status"] == 404
    assert [(await one.read())["state"] for one in (missing, lost)] == ["failing", "disabled"]


async def test_both_secrets_sign_for_a_day_after_a_rotation(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)
    rotated = (await bench.person.post(f"{alert.path}/secret")).json()
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != alert.secret
    await alert.test()
    await bench.query("UPDATE alerts SET old_secret_until = now() WHERE id = %s", alert.id)
    await alert.test()
    during, after = receiver.heard
    assert check_signature(during, alert.secret) == check_signature(during, rotated["secret"])
    check_signature(after, rotated["secret"])
    assert len(after.headers["webhook-signature"].split(" ")) == 1


def test_a_signature_is_of_the_standard() -> None:
    """Headers are made as the published vector has them, but for the time."""
    headers = make_headers(uuid4(), b"{}", ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",))
    assert sorted(headers) == ["webhook-id", "webhook-signature", "webhook-timestamp"]
    assert headers["webhook-signature"].startswith("v1,")
    assert "webhook-signature" not in make_headers(uuid4(), b"{}", ())


REDIRECT = make_answer(302, b"", location="http://169.254.169.254/latest/meta-data/")
CASES: dict[str, tuple[Behave, str | None]] = {
    "accepted": (always(THANKS), None),
    "no content": (always(b"HTTP/1.1 204 X\r\n\r\n"), None),
    "a redirect to the metadata service": (always(REDIRECT), "It answered 302, a redirect."),
    "nothing": (always(b"", closes=True), "It closed the connection without an answer."),
    "half a head": (
        always(b"HTTP/1.1 200 OK\r\ncontent-le", closes=True),
        "It closed the connection within its answer.",
    ),
    "no HTTP": (always(b"SSH-2.0-x\r\n\r\n", closes=True), "Its answer is not valid HTTP."),
    "half a body": (always(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf", closes=True), None),
    "no length": (always(b"HTTP/1.0 200 OK\r\n\r\nhello", closes=True), None),
    "an endless body": (BEHAVIOURS["endless_body"], None),
    "a bomb": (BEHAVIOURS["bomb"], None),
    "thousands of headers": (BEHAVIOURS["thousands_of_headers"], "Its answer is not valid HTTP."),
    "an odd status": (BEHAVIOURS["status_999"], "It answered 999."),
}


@pytest.mark.parametrize(("behave", "error"), CASES.values(), ids=CASES.keys())
async def test_what_a_receiver_may_do(behave: Behave, error: str | None) -> None:
    async with serve_hostile(behave) as server:
        result = await post_to(server)
        assert len(server.heard) == 1
    assert result.error == error or (error is not None and (result.error or "").startswith(error))
    assert result.is_delivered is (error is None)
    assert len(result.answer or "") <= 300


async def test_a_slow_receiver_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("basewarden.alerts.requests._HEAD_SECONDS", 0.1)
    async with serve_hostile(BEHAVIOURS["silent"]) as server:
        assert (await post_to(server)).error == "It did not answer within 10 seconds."
    monkeypatch.setattr("basewarden.alerts.requests.SEND_SECONDS", 0.2)
    async with serve_hostile(BEHAVIOURS["body_drips"]) as server:
        assert (await post_to(server)).error == "It did not answer within 10 seconds."


async def test_a_bad_certificate_is_refused(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    async with serve_hostile(always(THANKS), ssl=certificate.make_context()) as server:
        target = parse_saved_target(f"https://127.0.0.1:{server.port}/hook")
        result = await send_request(target, AlertChannel.WEBHOOK, b"{}", {}, allow_private=True)
        assert result.error == "The server's TLS certificate could not be verified."
        assert server.heard == []


async def test_nothing_listens_there() -> None:
    target = parse_saved_target(f"http://127.0.0.1:{reserve_port()}/hook")
    result = await send_request(target, AlertChannel.WEBHOOK, b"{}", {}, allow_private=True)
    assert result.error == "No server is listening at that host and port."


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1", "[::ffff:10.0.0.1]"]
)
async def test_private_addresses_get_no_message(host: str, receiver: HostileServer) -> None:
    target = parse_saved_target(f"http://{host}:{receiver.port}/hook")
    result = await send_request(target, AlertChannel.WEBHOOK, b"{}", {}, allow_private=False)
    assert result.error == "The host of the URL has a private or reserved address."
    assert receiver.connections == 0


async def test_a_private_address_is_refused_when_an_alert_is_made_and_when_it_is_used(
    own_workshop: OwnWorkshop, receiver: HostileServer
) -> None:
    """The second process is of a deployment that does not allow them any more."""
    bench = await (await own_workshop.open()).bench(NOTES)
    alert = await add_alert(bench, receiver, events=["write_refused"])
    strict = await own_workshop.open_more({"allow_private_addresses": False})
    strict.cookies.update(bench.person.cookies)
    path = alert.path.rpartition("/")[0]
    for target in (f"https://127.0.0.1:{receiver.port}/a", "https://localhost/a", "https://[::1]/a"):
        wanted = {"channel": "webhook", "target": target, "events": ["undo_finished"]}
        answer = await strict.post(path, json=wanted)
        assert answer.status_code == 422, answer.text
        assert answer.json()["details"] == [
            {"field": "target", "message": "The host of the URL has a private or reserved address."}
        ]
    plain = await strict.post(
        path, json={"channel": "webhook", "target": "http://example.com/", "events": ["undo_finished"]}
    )
    assert plain.json()["details"][0]["message"] == "Use a URL that begins with https://."
    tested = (await strict.post(f"{alert.path}/test")).json()
    assert (tested["state"], tested["error"]) == ("failed", "The host of the URL has a private or reserved address.")
    assert receiver.heard == []


async def test_two_processes_send_a_message_once(own_workshop: OwnWorkshop, receiver: HostileServer) -> None:
    bench = await (await own_workshop.open()).bench(NOTES)
    await own_workshop.open_more({})
    alerts = [await add_alert(bench, receiver, f"/{number}", events=["write_refused"]) for number in range(4)]
    await block(bench)
    await receive(receiver, len(alerts))
    for alert in alerts:
        await alert.wait(state="delivered", attempts=1)
    assert sorted(heard.target for heard in receiver.heard) == ["/0", "/1", "/2", "/3"]


async def test_a_message_that_is_being_sent_is_not_sent_by_another(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, events=["write_refused"])
    go_on = asyncio.Event()

    async def answer_late(turn: HostileExchange) -> None:
        await go_on.wait()
        await turn.send(THANKS)

    receiver.behave = answer_late
    await block(bench)
    await receive(receiver)
    [message] = await alert.messages()
    with pytest.raises(NotDeliveredYet):
        await try_again(alert, message)
    go_on.set()
    await alert.wait(state="delivered", attempts=1)
    assert len(receiver.heard) == 1


async def test_slow_receivers_leave_room_for_other_jobs(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    for number in range(MAX_SENDING + 2):
        await add_alert(bench, receiver, f"/{number}", events=["write_refused"])
    go_on = asyncio.Event()

    async def answer_late(turn: HostileExchange) -> None:
        await go_on.wait()
        await turn.send(THANKS)

    receiver.behave = answer_late
    await block(bench)
    await receive(receiver, MAX_SENDING)
    postponed = (
        "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo' AND attempts = 0 AND scheduled_at IS NOT NULL"
        " AND args ->> 'delivery_id' IN (SELECT d.id::text FROM alert_deliveries AS d JOIN alerts AS a"
        " ON a.id = d.alert_id WHERE a.connection_id = %s)"
    )
    await wait_until(
        lambda: bench.query(postponed, bench.connection_id),
        "two messages to wait",
        matches=lambda rows: rows == [(2,)],
    )
    assert receiver.most_open == MAX_SENDING
    go_on.set()
    await wait_until(lambda: len(receiver.heard) == MAX_SENDING + 2, "the other messages", seconds=20)


async def test_a_message_is_sent_again_at_a_persons_request(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, events=["write_refused"])
    await block(bench)
    message = await alert.wait(state="delivered")
    path = f"{alert.path}/deliveries/{message['id']}/resend"
    assert [(await bench.person.post(path)).status_code for _ in range(2)] == [202, 202]
    await wait_until(lambda: len(receiver.heard) >= 2, "the message again")
    assert check_signature(receiver.heard[1], alert.secret) == message["id"]
    await alert.wait(state="delivered")
    await bench.query("UPDATE alerts SET disabled_at = now(), disabled_reason = 'gone' WHERE id = %s", alert.id)
    assert (await bench.person.post(path)).json()["code"] == "alert_disabled"
    for other in (str(uuid4()), "nothing"):
        assert (await bench.person.post(f"{alert.path}/deliveries/{other}/resend")).status_code == 404


BAD_URLS = [
    ("ftp://example.com/", "Use a URL that begins with https://."),
    ("example.com/hook", "Use a URL that begins with https://."),
    ("https://user:pa55word@example.com/", "Remove the user name and password from the URL."),
    ("https://example.com/#part", "Remove the part after # from the URL."),
    ("https://example.com:99999/", "The port must be a number up to 65535."),
    ("https://example.com:0/", "The port cannot be 0."),
    ("https://", "The URL has no host, or one that is not valid."),
    ("https://exa mple.com/", "The URL is too long, or contains a character that is not valid."),
    ("https://example.com/\r\nx-other: 1", "The URL is too long, or contains a character that is not valid."),
    ("https://example.com/\u2066", "The URL is too long, or contains a character that is not valid."),
    (f"https://example.com/{'x' * 2000}", "The URL is too long, or contains a character that is not valid."),
    ("https://hooks.slack.com/services/T/B/x", "This is an address of Slack. Choose Slack as the channel."),
    ("https://discord.com/api/webhooks/1/x", "This is an address of Discord. Choose Discord as the channel."),
]


@pytest.mark.parametrize(("url", "message"), BAD_URLS)
def test_a_url_that_cannot_be_a_target(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_target(url, AlertChannel.WEBHOOK, allow_private=False)


def test_a_target_is_hidden_but_for_its_end() -> None:
    target = parse_target(
        "https://hooks.slack.com/services/T00/B00/0123456789", AlertChannel.SLACK, allow_private=False
    )
    assert target.hint == "hooks.slack.com/\u20266789"
    assert "0123" not in repr(target)
    assert parse_saved_target(target.reveal()) == target
    short = parse_target("https://[2001:db8::1]:8443/a?b=c", AlertChannel.WEBHOOK, allow_private=False)
    assert (short.hint, short.path) == ("[2001:db8::1]:8443/\u2026", "/a?b=c")
    assert parse_saved_target(short.reveal()) == short


async def test_create_names_the_field(workshop: Workshop) -> None:
    bench = await workshop.bench(NOTES)
    for target in ("nowhere", None, "", "https://nowhere.invalid/", "http://127.0.0.1:1/\x00"):
        answer = await create(bench, target=target)
        assert answer.status_code == 422, answer.text
        assert [one["field"] for one in answer.json()["details"]] == ["target"]


def read_example(language: str) -> str:
    """The code of the docs that checks a signature."""
    page = (CHECKOUT / "docs" / "alerts.md").read_text()
    return page.partition(f"```{language}\n")[2].partition("```")[0]


async def test_the_check_in_the_docs_accepts_our_messages_and_no_others(
    workshop: Workshop, receiver: HostileServer, tmp_path: Path
) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)
    await bench.person.post(f"{alert.path}/secret")
    await alert.test()
    [heard] = receiver.heard
    good, late = dict(heard.headers), {**heard.headers, "webhook-timestamp": "1700000000"}
    cases = [
        (good, heard.body.decode(), alert.secret, True),
        (good, heard.body.decode() + " ", alert.secret, False),
        ({**good, "webhook-id": "other"}, heard.body.decode(), alert.secret, False),
        (late, heard.body.decode(), alert.secret, False),
        (good, heard.body.decode(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", False),
    ]
    names: dict[str, Any] = {}
    exec(read_example("python"), names)  # noqa: S102 - our own page
    assert [names["verify"](headers, body.encode(), secret) for headers, body, secret, _ in cases] == [
        one[-1] for one in cases
    ]
    node = find_node()
    assert node is not None
    call = f"console.log(JSON.stringify({json.dumps([one[:3] for one in cases])}.map((one) => verify(...one))))"
    (tmp_path / "check.mjs").write_text(f"{read_example('js')}\n{call}\n")
    found = await asyncio.to_thread(
        subprocess.run, [node.node, tmp_path / "check.mjs"], capture_output=True, check=True, timeout=60
    )
    assert json.loads(found.stdout) == [one[-1] for one in cases]
