"""Alerts by email: to oneself only, at a confirmed address, while one is a member."""

from functools import partial
from typing import Any

import httpx
import pytest

from basewarden.journal import RefusalLog
from tests.fixtures.app import PASSWORD, make_client, read_refusal
from tests.fixtures.mailing import Mailing
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.waiting import wait_until

ADA = "ada@example.com"
EMAIL = {"channel": "email", "events": ["write_refused"]}


async def open_connection(
    mailing: Mailing, postgres: PostgresServer, name: str = "Shop"
) -> tuple[httpx.AsyncClient, str]:
    """Ada's, whose address is confirmed, and the path of her connection."""
    ada = await mailing.sign_up(ADA)
    await mailing.query("UPDATE users SET email_verified_at = now() WHERE email = %s", ADA)
    await mailing.product.settled()
    ada = await sign_in(mailing, ADA)
    dsn = await postgres.create_database()
    answer = await ada.post("/api/connections", json={"name": name, "postgresUrl": dsn})
    assert answer.status_code == 201, answer.text
    return ada, f"/api/connections/{answer.json()['id']}"


async def sign_in(mailing: Mailing, email: str) -> httpx.AsyncClient:
    client = await mailing.product.client()
    assert (await client.post("/api/auth/signin", json={"email": email, "password": PASSWORD})).is_success
    return client


async def make_reader(owner: httpx.AsyncClient, connection: str, name: str = "Reader") -> str:
    """An agent's token."""
    made = await owner.post(f"{connection}/agents", json={"name": name, "access": "read"})
    return str(made.json()["token"])


async def block(mailing: Mailing, connection: str, token: str) -> None:
    path = f"{connection.replace('/api/connections/', '/api/v/')}/rest/v1/missing"
    async with make_client(f"http://127.0.0.1:{mailing.product.port}", headers={"apikey": token}) as agent:
        assert (await agent.post(path, json={"id": 1})).status_code in (403, 404)
    await mailing.product.registry.get(RefusalLog).flush()


async def read_messages(owner: httpx.AsyncClient, connection: str, alert: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await owner.get(f"{connection}/alerts/{alert}/deliveries")).json()["deliveries"]
    return found


async def test_an_alert_arrives_as_an_email(mailing: Mailing, postgres: PostgresServer) -> None:
    ada, connection = await open_connection(mailing, postgres, "Shop <b> https://evil.example")
    made = await ada.post(f"{connection}/alerts", json={**EMAIL, "target": "ADA@example.com"})
    assert (made.status_code, made.json()["target"], made.json()["secret"]) == (201, ADA, None)
    assert read_refusal(await ada.post(f"{connection}/alerts", json=EMAIL)) == (409, "alert_exists")
    seen = len(mailing.postbox.find(ADA))
    await block(mailing, connection, await make_reader(ada, connection))
    emails = await mailing.postbox.wait(to=ADA, count=seen + 1)
    email = emails[-1]
    assert email.subject.startswith("1 request was blocked on Shop <b>")
    assert "Reader: add to missing. Blocked, because the token is read-only." in email.text
    home = connection.replace("/api/connections/", f"{mailing.product.settings.origin}/c/")
    assert f"{home}/refusals" in email.text
    assert f"{home}/alerts" in email.text
    [message] = await read_messages(ada, connection, made.json()["id"])
    assert (message["state"], message["status"], message["attempts"]) == ("delivered", None, 1)


async def test_an_email_goes_to_no_other_address(mailing: Mailing, postgres: PostgresServer) -> None:
    ada, connection = await open_connection(mailing, postgres)
    for target in ("eve@example.com", f"{ADA}, eve@example.com", f"{ADA}\r\nBcc: eve@example.com"):
        answer = await ada.post(f"{connection}/alerts", json={**EMAIL, "target": target})
        assert read_refusal(answer) == (422, "validation_failed")
    await mailing.query("UPDATE users SET email_verified_at = NULL")
    again = await sign_in(mailing, ADA)
    answer = await again.post(f"{connection}/alerts", json=EMAIL)
    assert answer.json()["details"] == [{"field": "target", "message": "Confirm your email address first."}]


async def test_a_test_email_is_sent(mailing: Mailing, postgres: PostgresServer) -> None:
    ada, connection = await open_connection(mailing, postgres)
    alert = (await ada.post(f"{connection}/alerts", json=EMAIL)).json()["id"]
    seen = len(mailing.postbox.find(ADA))
    tested = (await ada.post(f"{connection}/alerts/{alert}/test")).json()
    assert (tested["state"], tested["error"]) == ("delivered", None)
    emails = await mailing.postbox.wait(to=ADA, count=seen + 1)
    assert emails[-1].subject == "Test message about Shop"


@pytest.mark.parametrize(
    "change",
    ["DELETE FROM connection_members", "UPDATE connection_members SET role = 'viewer'"],
    ids=["left", "viewer"],
)
async def test_a_person_who_cannot_end_an_alert_gets_no_email(
    mailing: Mailing, postgres: PostgresServer, change: str
) -> None:
    ada, connection = await open_connection(mailing, postgres)
    eve = await mailing.sign_up("eve@example.com")
    await mailing.query("UPDATE users SET email_verified_at = now()")
    await mailing.query(
        "INSERT INTO connection_members (connection_id, user_id, role)"
        " SELECT %s, id, 'editor' FROM users WHERE email = 'eve@example.com'",
        connection.rpartition("/")[2],
    )
    eve = await sign_in(mailing, "eve@example.com")
    alert = (await eve.post(f"{connection}/alerts", json=EMAIL)).json()["id"]
    await mailing.query(f"{change} WHERE role = 'editor'")
    seen = len(mailing.postbox.find("eve@example.com"))
    tested = (await ada.post(f"{connection}/alerts/{alert}/test")).json()
    assert (tested["state"], tested["error"]) == ("failed", "This person is no longer an editor of the connection.")
    [found] = (await ada.get(f"{connection}/alerts")).json()["alerts"]
    assert (found["state"], found["disabledReason"]) == ("disabled", "no_editor")
    await mailing.finish_jobs()
    assert len(mailing.postbox.find("eve@example.com")) == seen


async def test_a_person_whom_a_connection_does_not_open_for_gets_no_email(
    mailing: Mailing, postgres: PostgresServer
) -> None:
    """The alert stays, for when they have set up the second factor."""
    ada, connection = await open_connection(mailing, postgres)
    alert = (await ada.post(f"{connection}/alerts", json=EMAIL)).json()["id"]
    token = await make_reader(ada, connection)
    seen = len(mailing.postbox.find(ADA))
    await mailing.query("UPDATE connections SET requires_two_factor = true")
    await block(mailing, connection, token)
    refused = "SELECT error FROM alert_deliveries WHERE alert_id = %s"
    error = await wait_until(partial(mailing.query, refused, alert), "the result of the message")
    assert error == "The connection requires two-factor authentication, which this person has not set up."
    assert await mailing.query("SELECT disabled_at FROM alerts WHERE id = %s", alert) is None
    assert len(mailing.postbox.find(ADA)) == seen


async def test_the_owner_learns_that_an_alert_was_turned_off(mailing: Mailing, postgres: PostgresServer) -> None:
    ada, connection = await open_connection(mailing, postgres)
    wanted = {"channel": "webhook", "target": "http://127.0.0.1:9/hook", "events": ["undo_finished"]}
    alert = (await ada.post(f"{connection}/alerts", json=wanted)).json()["id"]
    await mailing.query("UPDATE alerts SET failing_since = now() - interval '73 hours'")
    seen = len(mailing.postbox.find(ADA))
    assert (await ada.post(f"{connection}/alerts/{alert}/test")).json()["state"] == "failed"
    emails = await mailing.postbox.wait(to=ADA, count=seen + 1)
    assert emails[-1].subject == "An alert of Shop was turned off"
    assert "it has accepted no message for three days" in " ".join(emails[-1].text.split())
    assert f"/alerts/{alert}" in emails[-1].text


async def test_alerts_are_exported_and_deleted_with_the_account(mailing: Mailing, postgres: PostgresServer) -> None:
    ada, connection = await open_connection(mailing, postgres)
    alert = (await ada.post(f"{connection}/alerts", json=EMAIL)).json()["id"]
    wanted = {"channel": "webhook", "target": "http://127.0.0.1:9/hook/0123456789abcdef", "events": ["undo_finished"]}
    hook = (await ada.post(f"{connection}/alerts", json=wanted)).json()
    await ada.post(f"{connection}/alerts/{hook['id']}/test")
    exported = await ada.get("/api/account/export")
    assert "0123456789" not in exported.text
    assert hook["secret"] not in exported.text
    assert [one["id"] for one in exported.json()["alerts"]] == [alert, hook["id"]]
    assert [one["event"] for one in exported.json()["alertDeliveries"]] == ["test"]
    await mailing.query("DELETE FROM users WHERE email = %s", ADA)
    assert await mailing.query("SELECT count(*) FROM alerts WHERE channel = 'email'") == 0
    assert await mailing.query("SELECT created_by FROM alerts WHERE channel = 'webhook'") is None
