"""Plans, checkout and portal, by HTTP, against a provider that answers as the real one does and fails on request."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from basewarden.accounts import Deletions
from basewarden.billing import BillingJobs, BillingProvider, Retries
from basewarden.core.secret import Secret
from tests.fakes.dodo import API_KEY, PRODUCT_ID, FakeDodo, Selling, open_dodo, sign_delivery
from tests.fixtures.app import PASSWORD, ProjectDatabase, Serve, ServedProduct, read_refusal
from tests.fixtures.mailing import ServeMailing
from tests.fixtures.waiting import wait_until
from tests.flows.records import Records

ANNA, BOB = "anna@example.com", "bob@example.com"
CHECKOUT, PORTAL, STATE, PAGE = "/api/billing/checkout", "/api/billing/portal", "/api/billing", "/settings/billing"
OPERATOR = "/operator/billing"


@pytest.fixture
async def records(app_database: str) -> AsyncIterator[Records]:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as connection:
        yield Records(connection)


@pytest.fixture
async def anna(selling: Selling) -> httpx.AsyncClient:
    return await selling.product.sign_up(ANNA)


async def check_out(client: httpx.AsyncClient) -> str:
    answer = await client.post(CHECKOUT)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"checkoutUrl"}
    return str(answer.json()["checkoutUrl"])


async def test_without_billing_there_are_no_limits(
    product: ServedProduct, owner: httpx.AsyncClient, project: ProjectDatabase
) -> None:
    assert read_refusal(await owner.post(CHECKOUT)) == (503, "not_configured")
    assert read_refusal(await owner.post(PORTAL)) == (503, "not_configured")
    state = (await owner.get(STATE)).json()
    assert (state["configured"], state["plan"], state["limits"]["connections"]) == (False, "unlimited", None)
    for number in range(4):
        answer = await owner.post("/api/connections", json={"name": f"C{number}", "postgresUrl": project.dsn})
        assert answer.status_code == 201
    page = await owner.get(PAGE)
    assert (page.status_code, page.headers["location"]) == (303, "/settings/account"), "nothing is sold"


async def test_only_for_whom_is_signed_in(selling: Selling) -> None:
    visitor = await selling.product.client()
    for method, path in (("POST", CHECKOUT), ("POST", PORTAL), ("GET", STATE)):
        assert (await visitor.request(method, path)).status_code == 401
    assert (await visitor.get(PAGE)).headers["location"].startswith("/signin?next=")


async def test_from_the_checkout_to_the_plan(selling: Selling, anna: httpx.AsyncClient, records: Records) -> None:
    state = (await anna.get(STATE)).json()
    assert state == {
        "configured": True,
        "plan": "free",
        "state": "free",
        "until": None,
        "problem": None,
        "limits": {"connections": 3, "members": 1, "invitations": False},
        "hasCustomer": False,
    }
    url = await check_out(anna)
    (session_id,) = selling.dodo.checkouts
    assert url == f"{selling.dodo.url}/session/{session_id}"
    assert selling.dodo.checkouts[session_id] == {
        "product_cart": [{"product_id": PRODUCT_ID, "quantity": 1}],
        "customer": {"email": ANNA, "name": ANNA},
        "metadata": {"user_id": str(await records.person_id(ANNA))},
        "return_url": f"{selling.product.settings.origin}/settings/billing?done=checkout",
    }
    assert read_refusal(await anna.post(PORTAL)) == (404, "no_customer")
    await anna.get(f"{PAGE}?done=checkout")  # coming back says nothing about a payment
    assert (await anna.get(STATE)).json()["plan"] == "free"
    await selling.deliver(*selling.dodo.complete(session_id))
    state = (await anna.get(STATE)).json()
    assert (state["plan"], state["state"], state["hasCustomer"]) == ("hosted", "active", True)
    assert read_refusal(await anna.post(CHECKOUT)) == (409, "already_subscribed")
    answer = await anna.post(PORTAL)
    (customer_id,) = selling.dodo.world.customers
    assert answer.json()["url"].startswith(f"{selling.dodo.url}/portal/{customer_id}?token=")
    assert len(selling.dodo.checkouts) == 1


async def test_the_return_page_asks_the_provider_and_the_plan_is_there_before_any_event(
    selling: Selling, anna: httpx.AsyncClient, records: Records
) -> None:
    await check_out(anna)
    (session_id,) = selling.dodo.checkouts
    page = (await anna.get(f"{PAGE}?done=checkout")).text
    assert "No payment has arrived for your checkout yet" in page
    assert "start again below" in (await anna.get(f"{PAGE}?done=checkout&checked=4")).text
    assert f'content="3;url={PAGE}?done=checkout&amp;checked=1"' in page
    bought, paid = selling.dodo.complete(session_id)
    page = (await anna.get(f"{PAGE}?done=checkout&checked=1")).text
    assert "Your plan is active" in page
    assert 'http-equiv="refresh"' not in page
    assert (await anna.get(STATE)).json()["plan"] == "hosted"
    asked = len(selling.dodo.seen)
    assert "Your plan is active" in (await anna.get(f"{PAGE}?done=checkout")).text
    assert len(selling.dodo.seen) == asked  # it is known
    # Any event is newer than what was asked for, also one of the past whose delivery comes late.
    late = selling.dodo.world.deliver(bought, {**selling.dodo.world.objects[bought.object_id], "status": "on_hold"})
    assert (await selling.send(late)).json() == {"outcome": "applied"}
    assert (await anna.get(STATE)).json()["state"] == "past_due"
    await selling.deliver(paid)
    assert await records.value("SELECT count(*) FROM billing_subscriptions") == 1


@pytest.mark.parametrize(
    ("subscription", "payment", "words"),
    [
        ("pending", "processing", "is being processed"),
        ("failed", "failed", "The payment failed"),
        ("expired", "succeeded", "The payment failed"),
        (None, "failed", "The payment failed"),
        (None, "cancelled", "The payment failed"),
        (None, "requires_customer_action", "is being processed"),
        ("somebody else's", "succeeded", "is being processed"),
    ],
)
async def test_the_return_page_shows_the_real_state(
    selling: Selling, anna: httpx.AsyncClient, subscription: str | None, payment: str, words: str
) -> None:
    await check_out(anna)
    (session_id,) = selling.dodo.checkouts
    bought, paid = selling.dodo.complete(session_id)
    objects = selling.dodo.world.objects
    objects[paid.object_id]["status"] = payment
    if subscription is None:
        objects[paid.object_id]["subscription_id"] = None
    elif subscription == "somebody else's":
        objects[bought.object_id]["metadata"] = {"user_id": bought.id}
    else:
        objects[bought.object_id]["status"] = subscription
    assert words in (await anna.get(f"{PAGE}?done=checkout")).text
    assert (await anna.get(STATE)).json()["plan"] == "free"


@pytest.mark.parametrize("failure", [401, 404, 500, "html", "not json", {"payment_id": 7}])
async def test_a_return_page_bears_whatever_the_provider_answers(
    selling: Selling, anna: httpx.AsyncClient, failure: Any
) -> None:
    await check_out(anna)
    (session_id,) = selling.dodo.checkouts
    selling.dodo.fail(f"/checkouts/{session_id}", failure)
    page = await anna.get(f"{PAGE}?done=checkout&checked=rubbish")
    assert (page.status_code, "is being processed" in page.text) == (200, True)
    selling.dodo.fail(f"/checkouts/{session_id}", failure)
    last = (await anna.get(f"{PAGE}?done=checkout&checked=4")).text
    assert ("still being processed" in last, 'http-equiv="refresh"' in last) == (True, False)
    asked = len(selling.dodo.seen)
    for _ in range(25):
        assert (await anna.get(f"{PAGE}?done=checkout")).status_code == 200
    assert len(selling.dodo.seen) - asked == 18  # 20 in ten minutes


async def test_a_return_page_holds_no_connection_while_the_provider_hangs(
    selling: Selling, anna: httpx.AsyncClient, records: Records
) -> None:
    await check_out(anna)
    (session_id,) = selling.dodo.checkouts
    selling.dodo.fail(f"/checkouts/{session_id}", "hang")
    page = asyncio.ensure_future(anna.get(f"{PAGE}?done=checkout"))
    await selling.dodo.wait_until_hanging()
    held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND starts_with(state, 'idle in')"
    assert await records.value(held) == 0
    selling.dodo.release()
    assert (await page).status_code == 200


async def test_a_double_click_makes_one_checkout_even_over_two_processes(
    serve: Serve, dodo: FakeDodo, selling: Selling, anna: httpx.AsyncClient
) -> None:
    other = await serve(dodo.settings())
    beside = await other.client()
    beside.cookies = anna.cookies
    urls = await asyncio.gather(*(check_out(client) for client in (anna, beside) * 4))
    assert len(set(urls)) == len(dodo.checkouts) == 1


async def test_a_provider_that_hangs_holds_no_database_connection(
    serve: Serve, dodo: FakeDodo, records: Records
) -> None:
    """`serve` fails a test that waited for the provider with a connection in hand; here all of the pool would be gone."""
    selling = Selling(await serve(dodo.settings()), dodo)
    people = [await selling.product.sign_up(f"person{number}@example.com") for number in range(3)]
    for number in range(3):
        person = await records.person_id(f"person{number}@example.com")
        await selling.deliver(dodo.world.subscribe(person, email=f"person{number}@example.com", status="expired"))
    customers = list(dodo.world.customers)
    dodo.fail("/checkouts", *["hang"] * 3)
    for customer_id in customers:
        dodo.fail(f"/customers/{customer_id}/customer-portal/session", "hang")
    calls = [asyncio.ensure_future(person.post(path)) for person in people for path in (CHECKOUT, PORTAL)]
    await wait_until(
        lambda: len(dodo.seen), "the provider to be called", matches=lambda found: found >= len(calls), seconds=10
    )
    held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND starts_with(state, 'idle in')"
    assert await records.value(held) == 0
    dodo.release()
    assert [answer.status_code for answer in await asyncio.gather(*calls)] == [200] * 6
    assert await records.value("SELECT count(*) FROM billing_checkout_claims") == 0


async def test_a_claim_that_a_dead_process_left_ends(
    selling: Selling, anna: httpx.AsyncClient, records: Records
) -> None:
    person = await records.person_id(ANNA)
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    await records.insert("billing_checkout_claims", user_id=person, claim_id=person, claimed_until=soon)
    await check_out(anna)
    assert datetime.now(UTC) > soon
    assert await records.value("SELECT count(*) FROM billing_checkout_claims") == 0


async def test_a_checkout_is_used_again_for_ten_minutes(
    selling: Selling, anna: httpx.AsyncClient, records: Records
) -> None:
    first = await check_out(anna)
    await records.run("UPDATE billing_checkouts SET created_at = now() - interval '9 minutes'")
    assert await check_out(anna) == first
    await records.run("UPDATE billing_checkouts SET created_at = now() - interval '11 minutes'")
    assert await check_out(anna) != first
    bob = await selling.product.sign_up(BOB)
    assert await check_out(bob) not in (first, await check_out(anna))


@pytest.mark.parametrize(
    "failure",
    [400, 401, 403, 404, 409, 422, 429, 500, 503, "html", "not json", {}, {"session_id": "x"}, {"session_id": 1}],
)
async def test_whatever_the_provider_does_wrong_is_a_502(
    selling: Selling, anna: httpx.AsyncClient, records: Records, failure: Any
) -> None:
    """Asked once: a call that makes something is not repeated. The key that the provider tells goes no further."""
    selling.dodo.fail("/checkouts", failure)
    answer = await anna.post(CHECKOUT)
    assert read_refusal(answer) == (502, "provider_failed")
    assert API_KEY not in answer.text
    assert selling.dodo.seen == ["POST /checkouts"]
    assert await records.value("SELECT count(*) FROM billing_checkouts") == 0
    await check_out(anna)


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "ftp://a.example/", "//a.example", "https:///x", "", "http://a\nb/"]
)
async def test_a_hostile_link_goes_no_further(selling: Selling, anna: httpx.AsyncClient, link: str) -> None:
    selling.dodo.fail("/checkouts", {"session_id": "cks_1", "checkout_url": link})
    assert read_refusal(await anna.post(CHECKOUT)) == (502, "provider_failed")


async def test_a_provider_that_never_answers_or_is_not_there(serve: Serve) -> None:
    async with open_dodo() as dodo:
        product = await serve(dodo.settings())
        product.registry.get(BillingProvider)._seconds = 0.3
        anna = await product.sign_up(ANNA)
        dodo.fail("/checkouts", "hang")
        assert read_refusal(await anna.post(CHECKOUT)) == (502, "provider_failed")
        assert dodo.seen == ["POST /checkouts"]
        dodo.keys.clear()  # a key that was taken back
        assert read_refusal(await anna.post(CHECKOUT)) == (502, "provider_failed")
    assert read_refusal(await anna.post(CHECKOUT)) == (502, "provider_failed")


async def test_the_environment_is_the_test_one_unless_it_is_live(settings: Any) -> None:
    changes = {"dodo_api_key": Secret(API_KEY), "dodo_base_url": None}
    for mode, host in (("test", "test.dodopayments.com"), ("live", "live.dodopayments.com")):
        provider = BillingProvider(settings.model_copy(update={**changes, "dodo_mode": mode}))
        assert provider._client.base_url.host == host
        assert provider._client.max_retries == 0
        await provider.close()


async def test_a_portal_for_a_customer_that_the_provider_lost(
    selling: Selling, anna: httpx.AsyncClient, records: Records
) -> None:
    bought = selling.dodo.world.subscribe(await records.person_id(ANNA))
    await selling.deliver(bought)
    (customer_id,) = selling.dodo.world.customers
    path = f"/customers/{customer_id}/customer-portal/session"
    selling.dodo.fail(path, 500)
    assert read_refusal(await anna.post(PORTAL)) == (502, "provider_failed")
    selling.dodo.world.customers.clear()
    assert read_refusal(await anna.post(PORTAL)) == (404, "no_customer")


async def test_who_asks_too_often_waits(selling: Selling, anna: httpx.AsyncClient) -> None:
    for _ in range(10):
        await check_out(anna)
    answer = await anna.post(CHECKOUT)
    assert read_refusal(answer) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) > 0


async def connect(client: httpx.AsyncClient, project: ProjectDatabase, name: str) -> httpx.Response:
    return await client.post("/api/connections", json={"name": name, "postgresUrl": project.dsn})


async def test_the_fourth_connection_is_one_too_many(
    selling: Selling, anna: httpx.AsyncClient, project: ProjectDatabase, records: Records
) -> None:
    for number in range(3):
        assert (await connect(anna, project, f"C{number}")).status_code == 201
    answer = await connect(anna, project, "C3")
    assert read_refusal(answer) == (402, "plan_limit")
    assert answer.json()["details"] == {"limit": 3, "plan": "free"}
    form = {"name": "C3", "environment": "other", "postgresUrl": project.dsn}
    page = await anna.post("/connections/new", data=form)
    assert page.status_code == 402
    assert "allows 3 connections" in page.text
    assert "C3" in page.text
    assert project.dsn not in page.text
    page = await anna.get(PAGE)
    assert "3 of 3 connections" in page.text
    # With a plan there is room; when it ends nothing is taken away, and nothing is added.
    bought = selling.dodo.world.subscribe(await records.person_id(ANNA))
    await selling.deliver(bought)
    created = await connect(anna, project, "C3")
    assert created.status_code == 201
    await selling.deliver(selling.dodo.world.change(bought.object_id, "subscription.expired", status="expired"))
    assert (await connect(anna, project, "C4")).status_code == 402
    assert len((await anna.get("/api/connections")).json()["connections"]) == 4
    assert (await anna.get(f"/api/connections/{created.json()['id']}/health")).status_code == 200
    assert "all 4 of them" in (await anna.get(PAGE)).text


async def test_of_many_at_once_no_more_get_in_than_there_is_room_for(
    selling: Selling, anna: httpx.AsyncClient, project: ProjectDatabase
) -> None:
    answers = await asyncio.gather(*(connect(anna, project, f"C{number}") for number in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [402] * 3


async def test_connections_of_others_do_not_count(
    selling: Selling, anna: httpx.AsyncClient, project: ProjectDatabase, records: Records
) -> None:
    await selling.product.sign_up(BOB)
    bob = await records.person_id(BOB)
    for number in range(4):
        theirs = await records.add_connection(f"B{number}", bob)
        await records.add_member(theirs, await records.person_id(ANNA), "editor")
    assert (await connect(anna, project, "Mine")).status_code == 201


async def test_the_page_says_what_is_wrong_and_what_to_do(
    selling: Selling, anna: httpx.AsyncClient, records: Records
) -> None:
    world = selling.dodo.world
    page = (await anna.get(PAGE)).text
    assert "Choose Hosted" in page
    assert "customer portal</" not in page
    bought = world.subscribe(await records.person_id(ANNA))
    await selling.deliver(bought)
    page = (await anna.get(PAGE)).text
    assert "Renews" in page
    assert "Choose Hosted" not in page
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    late = world.change(bought.object_id, "subscription.on_hold", status="on_hold", next_billing_date=yesterday)
    await selling.deliver(late)
    page = (await anna.get(PAGE)).text
    assert "The last payment failed" in page
    assert "Update payment method" in page
    assert read_refusal(await anna.post(CHECKOUT)) == (409, "already_subscribed")
    answer = await anna.post(f"{PAGE}/portal")
    assert answer.status_code == 200
    assert f'http-equiv="refresh" content="0;url={selling.dodo.url}/portal/' in answer.text
    ended = world.change(bought.object_id, "subscription.cancelled", status="cancelled", next_billing_date=yesterday)
    await selling.deliver(ended)
    answer = await anna.post(f"{PAGE}/checkout")
    assert f"{selling.dodo.url}/session/" in answer.text


async def test_emails_come_once(serve_mailing: ServeMailing, dodo: FakeDodo, records: Records) -> None:
    mailing = await serve_mailing(dodo.settings())
    selling, world = Selling(mailing.product, dodo), dodo.world
    await mailing.sign_up(ANNA)
    person = await records.person_id(ANNA)
    bought = world.subscribe(person)
    paid = world.pay(bought.object_id)
    declined = world.pay(world.subscribe(person, status="pending").object_id, "failed")  # at the checkout: no email
    await selling.deliver(bought, paid, declined)
    failed = world.pay(bought.object_id, "failed")
    held = world.change(bought.object_id, "subscription.on_hold", status="on_hold")
    again = world.change(bought.object_id, "subscription.updated")
    await selling.deliver(again, failed, held)
    refunded = world.refund(paid.object_id)
    await selling.deliver(refunded)
    await selling.send(world.deliver(refunded))
    cancelled = {"cancel_at_next_billing_date": True, "cancelled_at": datetime.now(UTC).isoformat()}
    ending = world.change(bought.object_id, "subscription.updated", status="active", **cancelled)
    over = world.change(bought.object_id, "subscription.cancelled", status="cancelled")
    await selling.deliver(ending, over)
    await mailing.finish_jobs()
    reminders = [email.subject for email in mailing.postbox.find(ANNA) if "/settings/billing" in email.text]
    assert sorted(reminders) == [
        "Your payment failed",
        "Your payment was refunded",
        "Your plan is cancelled",
    ]
    (email,) = [one for one in mailing.postbox.find(ANNA) if "refunded" in one.subject]
    assert "22.61 EUR" in email.text
    assert f"{mailing.product.settings.origin}/settings/billing" in email.links


async def test_three_days_before_a_trial_ends(serve_mailing: ServeMailing, dodo: FakeDodo, records: Records) -> None:
    mailing = await serve_mailing(dodo.settings())
    selling = Selling(mailing.product, dodo)
    for email, begun in ((ANNA, 12), (BOB, 2)):
        await mailing.sign_up(email)
        start = datetime.now(UTC) - timedelta(days=begun)
        trial: dict[str, Any] = {
            "created_at": start.isoformat(),
            "trial_period_days": 14,
            "next_billing_date": (start + timedelta(days=14)).isoformat(),
        }
        await selling.deliver(dodo.world.subscribe(await records.person_id(email), email=email, **trial))
    jobs = mailing.product.registry.get(BillingJobs)
    await jobs.email_about_trials()
    await jobs.email_about_trials()
    await mailing.finish_jobs()
    reminders = [
        [one for one in mailing.subjects(email) if one.startswith("Your trial ends on")] for email in (ANNA, BOB)
    ]
    assert [len(subjects) for subjects in reminders] == [1, 0]


async def test_who_leaves_pays_no_more(selling: Selling, anna: httpx.AsyncClient, records: Records) -> None:
    """When the account goes its subscription is cancelled at the provider, and bodies with names in them are emptied."""
    world = selling.dodo.world
    person = await records.person_id(ANNA)
    bought = world.subscribe(person, email=ANNA)
    await selling.deliver(bought, world.pay(bought.object_id))
    await records.run("UPDATE users SET deletion_due_at = now() WHERE id = %s", person)
    assert (await selling.product.registry.get(Deletions).delete_due())["billing_event"] == 2
    await wait_until(
        lambda: world.objects[bought.object_id]["status"],
        "the subscription to be cancelled",
        matches=lambda found: found == "cancelled",
        seconds=10,
    )
    assert await records.value("SELECT count(*) FROM billing_event WHERE payload <> ''") == 0
    assert await records.rows("SELECT user_id, amount FROM billing_payments") == [{"user_id": None, "amount": 2261}]
    await selling.deliver(world.events[-1])


async def test_the_export_has_what_was_paid(selling: Selling, anna: httpx.AsyncClient, records: Records) -> None:
    world = selling.dodo.world
    bought = world.subscribe(await records.person_id(ANNA))
    paid = world.pay(bought.object_id)
    disputed = world.dispute(paid.object_id)
    await selling.deliver(bought, paid, disputed)
    url = await check_out_ignoring_limits(anna, records)
    exported = (await anna.get("/api/account/export")).json()
    assert [row["id"] for row in exported["billing_payments"]] == [disputed.object_id, paid.object_id]
    assert [row["subscriptionId"] for row in exported["billing_subscriptions"]] == [bought.object_id]
    assert url not in str(exported)
    bob = await selling.product.sign_up(BOB)
    exported = (await bob.get("/api/account/export")).json()
    assert exported["billing_payments"] == exported["billing_subscriptions"] == exported["billing_customers"] == []


async def check_out_ignoring_limits(client: httpx.AsyncClient, records: Records) -> str:
    """A checkout of before the subscription."""
    await records.insert(
        "billing_checkouts",
        session_id="cks_old",
        user_id=await records.person_id(ANNA),
        product_id=PRODUCT_ID,
        mode="test",
        url="https://pay.example/cks_old",
    )
    return "https://pay.example/cks_old"


@pytest.fixture
async def operated(serve: Serve, dodo: FakeDodo) -> Selling:
    return Selling(await serve({**dodo.settings(), "operators": ("Anna@example.com",)}), dodo)


@pytest.fixture
async def operator(operated: Selling, records: Records) -> httpx.AsyncClient:
    await operated.product.sign_up(ANNA)
    await records.run("UPDATE users SET email_verified_at = now()")
    client = await operated.product.client()
    await client.post("/api/auth/signin", json={"email": ANNA, "password": PASSWORD})
    return client


async def test_the_operators_page_is_there_only_for_operators(operated: Selling, records: Records) -> None:
    unverified = await operated.product.sign_up(ANNA)
    bob = await operated.product.sign_up(BOB)
    await records.run("UPDATE users SET email_verified_at = now() WHERE email = %s", BOB)
    for client in (unverified, bob):
        assert (await client.get(OPERATOR)).status_code == 404
        for path in (
            "grants",
            f"grants/{await records.person_id(BOB)}/end",
            f"receipts/{await records.person_id(BOB)}/apply",
        ):
            assert (await client.post(f"{OPERATOR}/{path}", data={"email": BOB})).status_code == 404
    assert await records.value("SELECT count(*) FROM billing_grants") == 0


async def test_the_operator_applies_what_failed(
    operated: Selling, operator: httpx.AsyncClient, records: Records
) -> None:
    bought = operated.dodo.world.subscribe(await records.person_id(ANNA))
    await records.run(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no <b>room</b>'; END$$;"
        "CREATE TRIGGER fail BEFORE INSERT ON billing_subscriptions FOR EACH ROW EXECUTE FUNCTION fail()"
    )
    assert (await operated.send(operated.dodo.world.deliver(bought))).status_code == 503
    assert (
        await operated.send(sign_delivery("msg_fine", b'{"type":"x","timestamp":"2026-11-24T12:00:00Z","data":{}}'))
    ).is_success
    page = (await operator.get(f"{OPERATOR}?show=not-applied")).text
    assert "no &lt;b&gt;room&lt;/b&gt;" in page
    assert "msg_fine" not in page
    assert "msg_fine" in (await operator.get(OPERATOR)).text
    receipt = await records.value("SELECT id FROM billing_event WHERE applied_at IS NULL")
    answer = await operator.post(f"{OPERATOR}/receipts/{receipt}/apply")
    assert answer.headers["location"] == f"{OPERATOR}?done=failed"
    await records.run("DROP TRIGGER fail ON billing_subscriptions")
    answer = await operator.post(f"{OPERATOR}/receipts/{receipt}/apply")
    assert answer.headers["location"] == f"{OPERATOR}?done=applied"
    assert (await operator.get(STATE)).json()["plan"] == "hosted"
    assert "All deliveries are applied" in (await operator.get(f"{OPERATOR}?show=not-applied")).text
    for hostile in ("nothing", "0" * 36, "%00"):
        assert (await operator.post(f"{OPERATOR}/receipts/{hostile}/apply")).status_code == 404


async def test_what_failed_is_applied_by_itself_and_reported_after_an_hour(
    serve_mailing: ServeMailing, dodo: FakeDodo, records: Records
) -> None:
    mailing = await serve_mailing({**dodo.settings(), "operators": ("ops@example.com",)})
    selling, retries = Selling(mailing.product, dodo), mailing.product.registry.get(Retries)
    await mailing.sign_up(ANNA)
    bought = dodo.world.subscribe(await records.person_id(ANNA))
    await records.run(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no room'; END$$;"
        "CREATE TRIGGER fail BEFORE INSERT ON billing_subscriptions FOR EACH ROW EXECUTE FUNCTION fail()"
    )
    assert (await selling.send(dodo.world.deliver(bought))).status_code == 503
    attempts, due = "SELECT attempts FROM billing_event", "UPDATE billing_event SET retry_at = now()"
    wait = "SELECT round(extract(epoch FROM retry_at - now()) / 60)::int FROM billing_event"
    for tried, minutes in ((1, 2), (2, 4)):
        await records.run("UPDATE billing_event SET received_at = now() - interval '50 minutes', retry_at = now()")
        await retries.retry_due()
        assert await records.value(wait) == minutes
        await retries.retry_due()  # not due any more
        await mailing.finish_jobs()
        assert await records.value(attempts) == tried + 1
    assert mailing.subjects("ops@example.com") == []
    await records.run("UPDATE billing_event SET received_at = now() - interval '61 minutes'")
    await retries.retry_due()
    await retries.retry_due()
    await mailing.finish_jobs()
    (email,) = mailing.postbox.find("ops@example.com")
    assert email.subject == "1 billing event could not be applied"
    assert email.links == [f"{mailing.product.settings.origin}/operator/billing?show=not-applied"]
    await records.run("UPDATE billing_event SET attempts = 20")
    await records.run(due)
    await retries.retry_due()
    await mailing.finish_jobs()
    assert await records.value(attempts) == 20
    await records.run("DROP TRIGGER fail ON billing_subscriptions; UPDATE billing_event SET attempts = 3")
    await retries.retry_due()
    await mailing.finish_jobs()
    assert await records.value("SELECT status FROM billing_subscriptions") == "active"
    assert await records.value("SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'") == 0


async def test_the_operators_page_shows_what_has_waited_for_an_hour(
    operated: Selling, operator: httpx.AsyncClient, records: Records
) -> None:
    now = datetime.now(UTC)
    times = {"event_at": now, "sent_at": now, "received_at": now - timedelta(minutes=61), "retry_at": now}
    receipt = {"id": await records.person_id(ANNA), "webhook_id": "msg_1", "type": "x.y", "payload": b"{}", **times}
    await records.insert("billing_event", **receipt, attempts=3)
    assert "1 delivery has waited for more than an hour" in (await operator.get(OPERATOR)).text
    await records.run("UPDATE billing_event SET attempts = 20")
    assert "no more automatic retries" in (await operator.get(OPERATOR)).text
    await records.run("UPDATE billing_event SET applied_at = now()")
    assert "more than an hour" not in (await operator.get(OPERATOR)).text


async def test_the_operator_gives_a_plan_and_takes_it(
    operated: Selling, operator: httpx.AsyncClient, records: Records
) -> None:
    bob = await operated.product.sign_up(BOB)
    day = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    wrong: list[tuple[dict[str, str], str]] = [
        ({"email": "nobody@example.com"}, "No account has this address"),
        ({"plan": "free"}, "This plan cannot be granted"),
        ({"until": "2020-01-01"}, "a future date"),
        ({"until": "9999-12-31"}, "a future date"),
        ({"until": "soon"}, "date"),
        ({"email": "a\x00b"}, "single line"),
        ({"note": "x" * 201}, "200"),
    ]
    good = {"email": "BOB@example.com", "plan": "team", "until": day, "note": "a friend"}
    for change, message in wrong:
        answer = await operator.post(f"{OPERATOR}/grants", data={**good, **change})
        assert answer.status_code == 422
        assert message in answer.text
    answer = await operator.post(f"{OPERATOR}/grants", data=good)
    assert answer.headers["location"] == f"{OPERATOR}?done=granted"
    state = (await bob.get(STATE)).json()
    assert (state["plan"], state["state"], state["until"]) == ("team", "granted", f"{day}T23:59:59Z")
    assert "a friend" in (await operator.get(OPERATOR)).text
    grant = await records.value("SELECT id FROM billing_grants")
    assert (await operator.post(f"{OPERATOR}/grants/{grant}/end")).status_code == 303
    assert (await operator.post(f"{OPERATOR}/grants/{grant}/end")).status_code == 404
    assert (await bob.get(STATE)).json()["plan"] == "free"
