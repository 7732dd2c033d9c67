"""The pages of alerts: what they say of a target, of its messages, and of what it answered."""

import re

from tests.alerts.conftest import NOTES, add_alert, block
from tests.fakes.hostile import HostileServer, always, make_answer
from tests.fixtures.bench import Bench, Workshop
from tests.fixtures.html_forms import find_forms


async def read(bench: Bench, path: str = "") -> str:
    answer = await bench.person.get(f"/c/{bench.connection_id}/alerts{path}")
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", answer.text)


async def test_an_empty_list_says_what_alerts_are_for(workshop: Workshop) -> None:
    bench = await workshop.bench(NOTES)
    page = await read(bench)
    assert "No alerts yet" in page
    assert f'href="/c/{bench.connection_id}/alerts/new"' in page
    form = await read(bench, "/new?channel=slack")
    assert 'value="slack" checked' in form
    assert "no alert sends more than 20 messages an hour" in form
    assert 'value="email"' not in form, "this deployment has no mail server"


async def test_the_state_of_an_alert_is_shown(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver, "/hook/0123456789abcdef", events=["write_refused"])
    assert "not used" in await read(bench)
    await alert.test()
    page = await read(bench)
    assert "works" in page
    assert f"Webhook to 127.0.0.1:{receiver.port}/\u2026cdef" in page
    receiver.behave = always(make_answer(500, b"<script>alert(1)</script>"))
    await block(bench)
    await alert.wait(attempts=1, status=500)
    page = await read(bench, f"/{alert.id}")
    assert "Its target does not accept messages" in page
    assert "It answered 500." in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    await bench.query("UPDATE alerts SET disabled_at = now(), disabled_reason = 'failing' WHERE id = %s", alert.id)
    page = await read(bench, f"/{alert.id}")
    assert "It accepted no message for three days." in page
    assert "Send again" not in page


async def test_a_test_is_answered_on_the_page(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)
    page = f"/c/{bench.connection_id}/alerts/{alert.id}"
    answer = await bench.person.post(f"{page}/test")
    assert answer.status_code == 303
    shown = (await bench.person.get(answer.headers["location"])).text
    assert "The test message was accepted" in shown
    assert "thanks" in shown
    assert (await bench.person.get(f"{page}?tested={bench.connection_id}")).status_code == 200
    assert (await bench.person.get(f"{page}?tested=nothing")).status_code == 422


async def test_messages_have_pages_too(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES)
    alert = await add_alert(bench, receiver)
    for _ in range(32):
        await alert.test()
    first = await read(bench, f"/{alert.id}")
    found = re.search(r'href="[^"]*(\?cursor=[0-9a-f-]{36})"', first)
    assert found is not None
    assert first.count("Send again:") == 30
    assert (await read(bench, f"/{alert.id}{found[1]}")).count("Send again:") == 2


async def test_hostile_names_stay_text(workshop: Workshop, receiver: HostileServer) -> None:
    bench = await workshop.bench(NOTES, name="<img src=x> & co")
    alert = await add_alert(bench, receiver)
    await alert.test()
    page = await read(bench, f"/{alert.id}")
    assert "Test message about &lt;img src=x&gt; &amp; co" in page
    assert "<img src=x>" not in page


async def test_a_url_that_was_typed_is_kept_after_an_error_and_not_shown(
    workshop: Workshop, receiver: HostileServer
) -> None:
    bench = await workshop.bench(NOTES)
    path = f"/c/{bench.connection_id}/alerts"
    typed = {"channel": "webhook", "target": f"{receiver.url}/hook/s3cr3t"}
    page = await bench.person.post(path, data=typed)
    assert page.status_code == 422
    assert "s3cr3t" not in page.text
    (form,) = find_forms(page, re.compile(re.escape(path) + r"\Z"))
    assert form.find("target").value == ""
    sealed = form.find("targetKept").value
    empty = {"channel": "webhook", "target": "", "events": "write_refused"}
    wrong = await bench.person.post(path, data={**empty, "targetKept": sealed[:-8]})
    assert wrong.status_code == 422
    assert "Enter it again." in wrong.text
    made = await bench.person.post(path, data={**empty, "targetKept": sealed})
    assert made.status_code == 201, made.text
    assert "Webhook to 127.0.0.1" in await read(bench)
