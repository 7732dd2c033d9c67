"""`POST /api/webhooks/dodo`, by HTTP: what is let in, what it leaves, and that order and repetition change nothing."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from basewarden.core.secret import Secret
from tests.fakes.dodo import WEBHOOK_SECRET, WEBHOOK_URL, FakeDodo, Selling, Sent, sign_delivery
from tests.fixtures.app import Serve, ServedProduct, read_refusal
from tests.flows.records import Records

ANNA = "anna@example.com"
NOW = "2026-11-24T12:00:00Z"
FAIL = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'the disk is on fire'; END$$;
    CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON billing_subscriptions FOR EACH ROW EXECUTE FUNCTION fail()
"""


@pytest.fixture
async def records(app_database: str) -> AsyncIterator[Records]:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as connection:
        yield Records(connection)


@pytest.fixture
async def anna(selling: Selling) -> httpx.AsyncClient:
    return await selling.product.sign_up(ANNA)


def event(type: str = "license_key.created", **data: Any) -> bytes:  # noqa: A002 - the provider's name
    return json.dumps({"business_id": "bus_1", "type": type, "timestamp": NOW, "data": data}).encode()


async def test_without_a_secret_nothing_is_taken(product: ServedProduct, client: httpx.AsyncClient) -> None:
    sent = sign_delivery("msg_1", event())
    answer = await client.post(WEBHOOK_URL, content=sent.body, headers=sent.headers)
    assert read_refusal(answer) == (503, "not_configured")


async def test_a_type_that_we_do_not_know_is_kept(selling: Selling, records: Records) -> None:
    sent = sign_delivery("msg_1", event(some="thing"))
    answer = await selling.send(sent)
    assert (answer.status_code, answer.json()) == (200, {"outcome": "applied"})
    answer = await selling.send(sent)
    assert (answer.status_code, answer.json()) == (200, {"outcome": "already_applied"})
    (row,) = await records.rows("SELECT * FROM billing_event")
    assert (row["webhook_id"], row["type"], row["payload"]) == ("msg_1", "license_key.created", sent.body)
    assert (row["attempts"], row["error"], row["event_at"].isoformat()) == (1, None, "2026-11-24T12:00:00+00:00")
    assert row["applied_at"] is not None
    assert int(row["sent_at"].timestamp()) == int(sent.headers["webhook-timestamp"])


async def test_it_comes_from_no_page_and_needs_no_origin(selling: Selling) -> None:
    sent = sign_delivery("msg_1", event(), origin="https://dodo.example")
    assert (await selling.send(sent)).status_code == 200


async def test_what_is_refused_leaves_nothing(selling: Selling, records: Records) -> None:
    good = sign_delivery("msg_1", event())
    now = int(time.time())

    def without(name: str) -> Sent:
        return Sent({key: value for key, value in good.headers.items() if key != name}, good.body)

    cases = [
        (without("webhook-id"), (400, "bad_delivery")),
        (without("webhook-timestamp"), (400, "bad_delivery")),
        (without("webhook-signature"), (400, "bad_delivery")),
        (Sent(good.headers, good.body + b" "), (401, "wrong_signature")),
        (sign_delivery("msg_1", event(), key=b"another key"), (401, "wrong_signature")),
        (sign_delivery("msg_1", event(), seconds=now - 310), (400, "stale_delivery")),
        (sign_delivery("msg_1", event(), seconds=now + 310), (400, "stale_delivery")),
        (sign_delivery("msg_1", b"no json"), (400, "bad_delivery")),
        (sign_delivery("msg_1", b"[]"), (400, "bad_delivery")),
        (sign_delivery("msg_1", b""), (400, "bad_delivery")),
        (sign_delivery("msg_1", event("subscription.active")), (400, "bad_delivery")),
        (sign_delivery("msg_1", event("license_key.created\x00")), (400, "bad_delivery")),
        (sign_delivery("msg_1", b"x" * (1024 * 1024 + 1)), (413, "too_large")),
    ]
    for sent, expected in cases:
        assert read_refusal(await selling.send(sent)) == expected
    assert await records.value("SELECT count(*) FROM billing_event") == 0
    assert (await selling.send(good)).status_code == 200


async def test_two_hundred_hostile_deliveries_and_no_500(selling: Selling, records: Records) -> None:
    """Headers and bodies put together by chance, half of them with a good signature over the hostile body."""
    dice = random.Random(4)
    words = [
        "v1,",
        "v1,aaaa",
        " ",
        ",",
        "=",
        "whsec_",
        "9" * 30,
        "-1",
        "1.5",
        "x" * 5000,
        "\xe9",
        ".",
        '"',
        "{}",
        "%00",
    ]
    pieces = [
        b"{",
        b"}",
        b"[",
        b'"',
        b"\x00",
        b"\xff\xfe",
        b"null",
        b'"type":"subscription.active"',
        b',"data":{}',
        b",",
    ]
    client = await selling.product.client()
    for number in range(200):
        body = b"".join(dice.choices(pieces, k=dice.randint(0, 8)))
        headers: Any = [
            (name.encode(), "".join(dice.choices(words, k=dice.randint(0, 4))).strip().encode("latin-1"))
            for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
            for _ in range(dice.choice((0, 1, 1, 1, 2)))
        ]
        if number % 2:
            headers = sign_delivery(f"msg_{number}", body).headers
        answer = await client.post(WEBHOOK_URL, content=body, headers=headers)
        assert answer.status_code in (400, 401), (headers, body, answer.text)
        assert set(answer.json()) == {"code", "message", "details", "hint"}
    assert await records.value("SELECT count(*) FROM billing_event") == 0


async def test_several_secrets_while_one_is_rotated(serve: Serve, dodo: FakeDodo) -> None:
    both = Secret(f"whsec_bm90aGluZyB0aGF0IGFueWJvZHkga25vd3M= {WEBHOOK_SECRET}")
    selling = Selling(await serve({**dodo.settings(), "dodo_webhook_secret": both}), dodo)
    assert (await selling.send(sign_delivery("msg_1", event()))).status_code == 200
    assert (await selling.send(sign_delivery("msg_2", event(), key=b"nothing that anybody knows"))).status_code == 200
    assert (await selling.send(sign_delivery("msg_3", event(), key=b"something else"))).status_code == 401


async def test_a_subscription_makes_the_plan(selling: Selling, anna: httpx.AsyncClient, records: Records) -> None:
    world = selling.dodo.world
    await selling.deliver(world.subscribe(await records.person_id(ANNA)))
    found = (await anna.get("/api/billing")).json()
    assert (found["plan"], found["state"], found["hasCustomer"]) == ("hosted", "active", True)
    (subscription,) = [key for key in world.objects if key.startswith("sub_")]
    await selling.deliver(world.change(subscription, "subscription.expired", status="expired"))
    found = (await anna.get("/api/billing")).json()
    assert (found["plan"], found["state"]) == ("free", "ended")


async def test_an_older_state_never_takes_the_place_of_a_newer_one(
    selling: Selling, anna: httpx.AsyncClient, records: Records
) -> None:
    """Each in the state that it had when it happened, in every order: the newest is what stays."""
    world = selling.dodo.world
    person = await records.person_id(ANNA)
    for seed in range(6):
        await records.run("TRUNCATE billing_event, billing_subscriptions, billing_payments, billing_customers")
        active = world.subscribe(person)
        key = active.object_id
        deliveries = [(active, world.objects[key])]
        for status in ("on_hold", "active", "cancelled"):
            happened = world.change(key, f"subscription.{status}", status=status)
            deliveries.append((happened, world.objects[key]))
        random.Random(seed).shuffle(deliveries)
        for happened, state in deliveries:
            assert (await selling.send(world.deliver(happened, state))).status_code == 200
        assert await records.value("SELECT status FROM billing_subscriptions") == "cancelled"


async def test_equal_times_are_settled_by_content_not_by_order(selling: Selling, records: Records) -> None:
    world = selling.dodo.world
    happened = world.subscribe(None)
    seconds = int(time.time())
    states = [{**world.objects[happened.object_id], "status": status} for status in ("active", "on_hold", "paused")]
    found = set()
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        await records.run("TRUNCATE billing_event, billing_subscriptions")
        for number in order:
            body = world.deliver(happened, states[number]).body
            assert (await selling.send(sign_delivery(f"msg_{number}", body, seconds=seconds))).status_code == 200
        found.add(await records.value("SELECT status FROM billing_subscriptions"))
    assert len(found) == 1


async def test_what_fails_is_kept_reported_and_applied_by_the_next_one(
    selling: Selling, anna: httpx.AsyncClient, records: Records
) -> None:
    bought = selling.dodo.world.subscribe(await records.person_id(ANNA))
    await records.run(FAIL)
    for attempt in (1, 2):
        answer = await selling.send(selling.dodo.world.deliver(bought))
        assert read_refusal(answer) == (503, "not_applied")
        (row,) = await records.rows("SELECT attempts, applied_at, error FROM billing_event")
        assert row == {"attempts": attempt, "applied_at": None, "error": "RaiseException: the disk is on fire"}
    assert await records.value("SELECT count(*) FROM billing_customers") == 0  # nothing of the effect is left
    await records.run("DROP TRIGGER fail ON billing_subscriptions")
    await selling.deliver(bought)
    (row,) = await records.rows("SELECT attempts, error, applied_at IS NOT NULL AS applied FROM billing_event")
    assert row == {"attempts": 3, "error": None, "applied": True}
    assert (await anna.get("/api/billing")).json()["plan"] == "hosted"


async def test_another_body_under_the_same_id(selling: Selling, records: Records) -> None:
    """Until it is applied the one that was sent last counts; after that the first one stays."""
    world, seconds = selling.dodo.world, int(time.time())
    bought = world.subscribe(None)
    state = world.objects[bought.object_id]
    await records.run(FAIL)
    for status, sent_at in (("active", seconds), ("on_hold", seconds - 10)):
        sent = world.deliver(bought, {**state, "status": status}, seconds=sent_at)
        assert (await selling.send(sent)).status_code == 503
    await records.run("DROP TRIGGER fail ON billing_subscriptions")
    sent = world.deliver(bought, {**state, "status": "paused"}, seconds=seconds - 20)
    assert (await selling.send(sent)).json() == {"outcome": "applied"}
    assert await records.value("SELECT status FROM billing_subscriptions") == "active"
    sent = world.deliver(bought, {**state, "status": "expired"}, seconds=seconds + 10)
    assert (await selling.send(sent)).json() == {"outcome": "already_applied"}
    assert await records.value("SELECT status FROM billing_subscriptions") == "active"


async def test_twenty_at_once_have_one_effect(selling: Selling, records: Records) -> None:
    sent = selling.dodo.world.deliver(selling.dodo.world.subscribe(None))
    answers = await asyncio.gather(*(selling.send(sent) for _ in range(20)))
    outcomes = [answer.json()["outcome"] for answer in answers]
    assert sorted(outcomes) == ["already_applied"] * 19 + ["applied"]
    assert await records.rows("SELECT attempts FROM billing_event") == [{"attempts": 1}]


async def test_an_unknown_customer_is_kept_without_a_person(
    selling: Selling, anna: httpx.AsyncClient, records: Records
) -> None:
    world = selling.dodo.world
    for hostile in (uuid4(), "no id", "' OR 1=1", "x" * 5000, str(await records.person_id(ANNA)).replace("-", "")):
        await selling.deliver(world.subscribe(hostile, email=f"{uuid4()}@example.com"))
    odd = world.subscribe(None, metadata={"user_id": 7})
    await selling.deliver(odd)
    assert await records.value("SELECT count(*) FROM billing_subscriptions WHERE user_id IS NULL") == 6
    assert (await anna.get("/api/billing")).json()["plan"] == "free"


async def test_a_known_customer_is_the_person(selling: Selling, anna: httpx.AsyncClient, records: Records) -> None:
    """A subscription that was made without us, by a customer who is known; whichever comes first."""
    world = selling.dodo.world
    without = world.subscribe(None)
    known = world.subscribe(await records.person_id(ANNA), status="expired")
    await selling.deliver(without)
    assert (await anna.get("/api/billing")).json()["plan"] == "free"
    await selling.deliver(known)
    assert (await anna.get("/api/billing")).json()["plan"] == "hosted"


async def test_payments_refunds_and_disputes_in_any_order(
    selling: Selling, anna: httpx.AsyncClient, records: Records
) -> None:
    world = selling.dodo.world
    bought = world.subscribe(await records.person_id(ANNA))
    paid = world.pay(bought.object_id)
    refunded = world.refund(paid.object_id)
    disputed = world.dispute(paid.object_id)
    won = world.change(disputed.object_id, "dispute.won", dispute_status="dispute_won")
    await selling.deliver(won, refunded, disputed, paid, bought)
    page = (await anna.get("/settings/billing")).text
    assert all(number in page for number in (paid.object_id, refunded.object_id, disputed.object_id))
    assert page.count("22.61 EUR") == 3
    assert await records.rows("SELECT kind, status FROM billing_payments ORDER BY kind") == [
        {"kind": "dispute", "status": "won"},
        {"kind": "payment", "status": "succeeded"},
        {"kind": "refund", "status": "succeeded"},
    ]
    stranger = await selling.product.sign_up("bob@example.com")
    assert paid.object_id not in (await stranger.get("/settings/billing")).text


async def test_a_person_who_is_gone_is_ignored(selling: Selling, records: Records) -> None:
    await selling.product.sign_up(ANNA)
    person = await records.person_id(ANNA)
    bought = selling.dodo.world.subscribe(person)
    await selling.deliver(bought)
    await records.run("DELETE FROM users WHERE id = %s", person)
    await selling.deliver(selling.dodo.world.change(bought.object_id, "subscription.renewed"))
    (row,) = await records.rows("SELECT user_id, status FROM billing_subscriptions")
    assert row == {"user_id": None, "status": "active"}


async def test_a_delivery_that_is_cut_off_half_way(selling: Selling, records: Records) -> None:
    """The body stops coming: nothing is kept, and the next whole one is taken."""
    sent = sign_delivery("msg_1", event())
    _, writer = await asyncio.open_connection("127.0.0.1", selling.product.port)
    lines = [f"POST {WEBHOOK_URL} HTTP/1.1", "host: x", f"content-length: {len(sent.body)}"]
    lines += [f"{name}: {value}" for name, value in sent.headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + sent.body[:20])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await selling.send(sent)).json() == {"outcome": "applied"}
    assert await records.value("SELECT count(*) FROM billing_event") == 1
