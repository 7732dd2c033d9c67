"""Passkeys by HTTP alone, with a software authenticator: every status, and every lie that must not work."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from basewarden.accounts import Limit
from basewarden.web import Pages
from tests.fixtures.app import PASSWORD, Serve, ServedProduct, read_refusal, tight_limits
from tests.fixtures.mailing import ServeMailing
from tests.fixtures.sql import run_sql
from tests.fixtures.twofactor import Protect, Protected, make_stale
from tests.flows.authenticator import (
    BACKED_UP,
    CAN_BE_BACKED_UP,
    PRESENT,
    VERIFIED,
    Json,
    SoftwareAuthenticator,
    to_text,
)

ANNA, BERT = "anna@example.com", "bert@example.com"
OWN, ENTRANCE = "/api/account/passkeys", "/api/auth/passkey"
SECOND, CONFIRM = "/api/account/2fa/passkey", "/api/account/reauth/passkey"
PAGE = "/settings/account/passkeys"
COOKIE = "authjs.session-token"
NOBODYS = "00000000-0000-7000-8000-000000000000"


async def ask(client: httpx.AsyncClient, place: str) -> Json:
    answer = await client.post(f"{place}/options")
    assert answer.status_code == 200, answer.text
    offer: Json = answer.json()
    return offer


def answer_to(offer: Json, credential: Json, **more: Any) -> Json:
    return {"challengeId": offer["challengeId"], "credential": credential, **more}


async def add(client: httpx.AsyncClient, key: SoftwareAuthenticator, /, **lies: Any) -> httpx.Response:
    offer = await ask(client, OWN)
    return await client.post(OWN, json=answer_to(offer, key.make(offer["publicKey"], **lies), name="Blue key"))


async def show(client: httpx.AsyncClient, place: str, key: SoftwareAuthenticator, /, **lies: Any) -> httpx.Response:
    offer = await ask(client, place)
    return await client.post(place, json=answer_to(offer, key.show(offer["publicKey"], **lies)))


async def is_in(client: httpx.AsyncClient) -> bool:
    answer = await client.get("/api/connections")
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


@dataclass(frozen=True)
class Holder:
    """A signed-in person and their passkey."""

    person: httpx.AsyncClient
    key: SoftwareAuthenticator
    id: str


async def make_holder(product: ServedProduct, email: str = ANNA, **facts: Any) -> Holder:
    person = await product.sign_up(email)
    key = SoftwareAuthenticator(product.settings.origin, **facts)
    answer = await add(person, key)
    assert answer.status_code == 201, answer.text
    return Holder(person, key, answer.json()["id"])


@pytest.fixture
async def anna(product: ServedProduct) -> Holder:
    return await make_holder(product)


async def test_from_adding_to_removing(product: ServedProduct, client: httpx.AsyncClient, app_database: str) -> None:
    person = await product.sign_up(ANNA)
    assert (await person.get(OWN)).json() == {"passkeys": []}
    key = SoftwareAuthenticator(product.settings.origin, flags=PRESENT | VERIFIED | CAN_BE_BACKED_UP | BACKED_UP)
    made = await add(person, key)
    assert (made.status_code, made.json()) == (201, {"id": made.json()["id"], "name": "Blue key"})
    (stored,) = await run_sql(app_database, "SELECT transports, is_backed_up, last_used_at FROM passkeys")
    assert stored == (["internal", "hybrid"], True, None)

    one = f"{OWN}/{made.json()['id']}"
    renamed = await person.patch(one, json={"name": "  Green key "})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Green key")

    answer = await show(client, ENTRANCE, key)
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "mfaRequired": False})
    assert (await client.get("/api/auth/session")).json()["user"]["email"] == ANNA
    (listed,) = (await client.get(OWN)).json()["passkeys"]
    assert sorted(listed) == ["createdAt", "id", "isBackedUp", "lastUsedAt", "name"]
    assert (listed["name"], listed["isBackedUp"], listed["lastUsedAt"] is None) == ("Green key", True, False)

    assert (await client.delete(one)).status_code == 204
    assert read_refusal(await client.delete(one)) == (404, "not_found")
    assert read_refusal(await show(await product.client(), ENTRANCE, key)) == (401, "invalid_credentials")
    kinds = [kind for (kind,) in await run_sql(app_database, "SELECT kind FROM audit_events ORDER BY id")]
    wanted = ["passkey_added", "passkey_renamed", "signin", "passkey_removed"]
    assert [kind for kind in kinds if kind in wanted] == ["signin", *wanted]


async def test_options_ask_for_what_they_must_and_name_no_person(anna: Holder, client: httpx.AsyncClient) -> None:
    options = (await ask(anna.person, OWN))["publicKey"]
    assert options["rp"] == {"name": "Basewarden", "id": "127.0.0.1"}
    assert options["attestation"] == "none"
    assert options["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert [item["id"] for item in options["excludeCredentials"]] == [to_text(anna.key.credential_id)]
    assert len(options["challenge"]) >= 43  # 32 bytes

    nameless = (await ask(client, ENTRANCE))["publicKey"]
    assert (nameless["allowCredentials"], nameless["userVerification"]) == ([], "required")
    own = (await ask(anna.person, CONFIRM))["publicKey"]
    assert [item["id"] for item in own["allowCredentials"]] == [to_text(anna.key.credential_id)]


LIES: dict[str, Json] = {
    "another origin": {"origin": "https://evil.example"},
    "another port": {"origin": "http://127.0.0.1:1"},
    "another site": {"rp_id": "evil.example"},
    "nobody verified": {"flags": PRESENT},
    "nobody present": {"flags": VERIFIED},
    "impossible backup flags": {"flags": PRESENT | VERIFIED | BACKED_UP},
    "another challenge": {"challenge": to_text(bytes(32))},
    "a challenge of another type": {"challenge": 7},
    "made, not shown": {"type": "webauthn.create"},
    "another key's signature": {"key": ec.generate_private_key(ec.SECP256R1())},
    "another person's handle": {"handle": bytes(16)},
    "no handle": {"handle": None},
    "an unknown key": {"id": b"unknown"},
}


async def test_every_lie_at_the_door_gets_the_same_answer(serve: Serve, app_database: str) -> None:
    product = await serve(limits=tight_limits(signin_address=Limit(100, 60)))
    anna = await make_holder(product)
    client = await product.client()
    answers = {name: await show(client, ENTRANCE, anna.key, **lie) for name, lie in LIES.items()}
    offer = await ask(client, ENTRANCE)
    unknown = {**answer_to(offer, anna.key.show(offer["publicKey"])), "challengeId": NOBODYS}
    answers["an unknown challenge"] = await client.post(ENTRANCE, json=unknown)
    assert {name: read_refusal(answer) for name, answer in answers.items()} == dict.fromkeys(
        answers, (401, "invalid_credentials")
    )
    assert len({answer.text for answer in answers.values()}) == 1
    assert not any("set-cookie" in answer.headers for answer in answers.values())
    ((failed,),) = await run_sql(app_database, "SELECT count(*) FROM audit_events WHERE kind = 'signin_failed'")
    assert failed == len(answers) - 1  # the unknown key has no owner
    assert (await show(client, ENTRANCE, anna.key)).status_code == 200


async def test_a_challenge_is_answered_once(anna: Holder, product: ServedProduct) -> None:
    client = await product.client()
    offer = await ask(client, ENTRANCE)
    right = answer_to(offer, anna.key.show(offer["publicKey"]))
    assert (await client.post(ENTRANCE, json=right)).status_code == 200
    assert read_refusal(await (await product.client()).post(ENTRANCE, json=right)) == (401, "invalid_credentials")

    offer = await ask(client, ENTRANCE)
    wrong = answer_to(offer, anna.key.show(offer["publicKey"], flags=PRESENT))
    right = answer_to(offer, anna.key.show(offer["publicKey"]))
    assert (await client.post(ENTRANCE, json=wrong)).status_code == 401
    assert (await client.post(ENTRANCE, json=right)).status_code == 401

    offer = await ask(client, ENTRANCE)
    right = answer_to(offer, anna.key.show(offer["publicKey"]))
    clients = [await product.client() for _ in range(6)]
    answers = await asyncio.gather(*(other.post(ENTRANCE, json=right) for other in clients))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 5}


async def test_a_challenge_is_for_one_purpose_one_person_and_minutes(
    anna: Holder, product: ServedProduct, app_database: str
) -> None:
    bert = await make_holder(product, BERT)
    client = await product.client()
    offer = await ask(anna.person, CONFIRM)
    right = answer_to(offer, anna.key.show(offer["publicKey"]))
    assert read_refusal(await client.post(ENTRANCE, json=right)) == (401, "invalid_credentials")
    assert read_refusal(await anna.person.post(SECOND, json=right)) == (400, "bad_code")
    assert read_refusal(await bert.person.post(CONFIRM, json=right)) == (400, "bad_passkey")
    assert (await anna.person.post(CONFIRM, json=right)).status_code == 200  # no other person could use it up for her

    offer = await ask(client, ENTRANCE)
    right = answer_to(offer, anna.key.show(offer["publicKey"]))
    assert read_refusal(await anna.person.post(CONFIRM, json=right)) == (400, "bad_passkey")
    await run_sql(app_database, "UPDATE passkey_challenges SET expires_at = now()")
    assert read_refusal(await client.post(ENTRANCE, json=right)) == (401, "invalid_credentials")

    await ask(client, ENTRANCE)
    await run_sql(app_database, "UPDATE passkey_challenges SET expires_at = now()")
    await ask(client, ENTRANCE)
    assert await run_sql(app_database, "SELECT count(*) FROM passkey_challenges") == [(1,)]


async def test_a_count_that_decreases_is_refused_and_reported(product: ServedProduct, app_database: str) -> None:
    anna = await make_holder(product, step=1)
    client = await product.client()
    copied = "SELECT count(*) FROM audit_events WHERE kind = 'passkey_copied'"
    assert (await show(client, ENTRANCE, anna.key, count=7)).status_code == 200
    forged = await show(client, ENTRANCE, anna.key, count=7, key=ec.generate_private_key(ec.SECP256R1()))
    assert read_refusal(forged) == (401, "invalid_credentials")
    assert await run_sql(app_database, copied) == [(0,)]  # only the key itself can say so
    for count in (7, 6, 0):
        assert read_refusal(await show(client, ENTRANCE, anna.key, count=count)) == (401, "invalid_credentials")
    assert read_refusal(await show(anna.person, CONFIRM, anna.key, count=7)) == (400, "bad_passkey")
    assert await run_sql(app_database, copied) == [(4,)]
    assert (await show(client, ENTRANCE, anna.key, count=8)).status_code == 200


async def test_a_key_and_its_copy_at_once(product: ServedProduct) -> None:
    anna = await make_holder(product, step=1)
    clients = [await product.client() for _ in range(5)]
    offers = [await ask(client, ENTRANCE) for client in clients]
    answers = await asyncio.gather(
        *(
            client.post(ENTRANCE, json=answer_to(offer, anna.key.show(offer["publicKey"], count=5)))
            for client, offer in zip(clients, offers, strict=True)
        )
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 4}


async def test_signing_in_ends_the_earlier_session_and_links_of_emails(
    anna: Holder, product: ServedProduct, app_database: str
) -> None:
    await run_sql(
        app_database,
        "INSERT INTO account_tokens (id, user_id, purpose, token_hash, email, expires_at) "
        "SELECT gen_random_uuid(), id, 'reset', 'x', email, now() + interval '1 hour' FROM users",
    )
    before = dict(anna.person.cookies)
    assert (await show(anna.person, ENTRANCE, anna.key)).status_code == 200
    stolen = await product.client()
    stolen.cookies.update(before)
    assert await is_in(anna.person)
    assert not await is_in(stolen)
    assert await run_sql(app_database, "SELECT dead_at IS NOT NULL FROM account_tokens WHERE purpose = 'reset'") == [
        (True,)
    ]
    assert await run_sql(app_database, "SELECT method FROM signin_sessions WHERE ended_at IS NULL") == [("passkey",)]


async def test_it_stands_for_both_factors(timed: ServedProduct, protect: Protect) -> None:
    anna = await protect(timed)
    key = SoftwareAuthenticator(timed.settings.origin)
    assert (await add(anna.person, key)).status_code == 201
    client = await timed.client()
    answer = await show(client, ENTRANCE, key)
    assert answer.json() == {"ok": True, "mfaRequired": False}
    assert await is_in(client)


@pytest.fixture
async def guarded(timed: ServedProduct, anna_with_codes: Protected) -> tuple[Protected, SoftwareAuthenticator]:
    key = SoftwareAuthenticator(timed.settings.origin)
    assert (await add(anna_with_codes.person, key)).status_code == 201
    return anna_with_codes, key


@pytest.fixture
async def anna_with_codes(timed: ServedProduct, protect: Protect) -> Protected:
    return await protect(timed)


async def test_as_the_second_factor(
    timed: ServedProduct, guarded: tuple[Protected, SoftwareAuthenticator], app_database: str
) -> None:
    anna, key = guarded
    bert = await make_holder(timed, BERT)
    client = await anna.sign_in(timed)
    half = client.cookies[COOKIE]
    assert read_refusal(await client.post(f"{OWN}/options")) == (401, "mfa_required")
    assert read_refusal(await client.post(f"{CONFIRM}/options")) == (401, "mfa_required")
    options = (await ask(client, SECOND))["publicKey"]
    assert [item["id"] for item in options["allowCredentials"]] == [to_text(key.credential_id)]
    assert read_refusal(await show(client, SECOND, bert.key)) == (400, "bad_code")
    assert read_refusal(await show(client, SECOND, key, flags=PRESENT)) == (400, "bad_code")
    assert not await is_in(client)

    answer = await show(client, SECOND, key, handle=None)  # a key that is named need not say whose it is
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert await is_in(client)
    assert client.cookies[COOKIE] != half
    ((failed,),) = await run_sql(app_database, "SELECT count(*) FROM audit_events WHERE kind = 'twofactor_failed'")
    assert failed == 2
    visitor = await timed.client()
    assert read_refusal(await visitor.post(f"{SECOND}/options")) == (401, "unauthenticated")


async def test_tries_at_the_second_factor_are_counted_with_codes(
    timed: ServedProduct, guarded: tuple[Protected, SoftwareAuthenticator]
) -> None:
    anna, key = guarded
    client = await anna.sign_in(timed)
    for _ in range(3):
        wrong = await client.post("/api/account/2fa/verify", json={"code": anna.wrong()})
        assert read_refusal(wrong) == (400, "bad_code")
    for _ in range(2):
        assert read_refusal(await show(client, SECOND, key, flags=PRESENT)) == (400, "bad_code")
    refused = await show(client, SECOND, key)
    assert read_refusal(refused) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) > 0
    assert not await is_in(client)


async def test_without_a_passkey_there_is_nothing_to_ask_for(owner: httpx.AsyncClient) -> None:
    assert read_refusal(await owner.post(f"{SECOND}/options")) == (409, "no_passkey")
    assert read_refusal(await owner.post(f"{CONFIRM}/options")) == (409, "no_passkey")


async def test_as_the_same_person_once_more(anna: Holder, product: ServedProduct, app_database: str) -> None:
    bert = await make_holder(product, BERT)
    await show(anna.person, CONFIRM, anna.key)
    await make_stale(app_database)
    assert read_refusal(await anna.person.post(f"{OWN}/options")) == (403, "reauth_required")
    assert read_refusal(await anna.person.delete(f"{OWN}/{anna.id}")) == (403, "reauth_required")
    assert read_refusal(await show(anna.person, CONFIRM, bert.key)) == (400, "bad_passkey")
    assert read_refusal(await anna.person.post(f"{OWN}/options")) == (403, "reauth_required")

    stolen = await product.client()
    stolen.cookies.update(dict(anna.person.cookies))
    answer = await show(anna.person, CONFIRM, anna.key)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert (await add(anna.person, SoftwareAuthenticator(product.settings.origin))).status_code == 201
    assert not await is_in(stolen)


@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"challenge": to_text(bytes(32))},
        {"type": "webauthn.get"},
        {"auth_data": 2**40},  # a reader that makes room for so many bytes goes under
        {"auth_data": b"short"},
        {"auth_data": ["a", "list"]},
        {"fmt": "tpm"},
        {"fmt": ["packed"]},
        {"fmt": "packed", "statement": {"alg": -7, "sig": 7}},
        {"fmt": "packed", "statement": {"alg": -7, "sig": b"x", "x5c": [b"y"]}},
        {"statement": {"alg": -7}},
        {"statement": 7},
        {"key": {}},
        {"key": 7},
        {"key": []},
        {"key": b""},
        {"key": {1: 2, 3: -7, -1: 1, -2: bytes(31) + b"\x01", -3: bytes(31) + b"\x01"}},  # not on the curve
        {"key": {1: 2, 3: -7, -1: 1, -2: 5, -3: "six"}},
        {"key": {1: 2, 3: -7, -1: 9, -2: bytes(32), -3: bytes(32)}},
        {"key": {1: 3, 3: -257, -1: b"\x01", -2: b"\x01"}},
        {"key": {1: 1, 3: -8, -1: 6, -2: b"short"}},
        {"key": {1: 2, 3: -65535, -1: 1, -2: bytes(32), -3: bytes(32)}},
    ],
    ids=str,
)
async def test_no_lie_is_added(product: ServedProduct, lie: Json) -> None:
    person = await product.sign_up(ANNA)
    assert read_refusal(await add(person, SoftwareAuthenticator(product.settings.origin), **lie)) == (
        400,
        "bad_passkey",
    )
    assert (await person.get(OWN)).json() == {"passkeys": []}


async def test_what_a_key_says_of_its_id_is_what_counts(anna: Holder, product: ServedProduct) -> None:
    """The id beside the signed part is anybody's."""
    offer = await ask(anna.person, OWN)
    made = SoftwareAuthenticator(product.settings.origin).make(offer["publicKey"])
    made["id"] = to_text(b"other")
    assert read_refusal(await anna.person.post(OWN, json=answer_to(offer, made))) == (400, "bad_passkey")


async def test_a_key_belongs_to_one_account_and_an_account_has_not_too_many(
    anna: Holder, product: ServedProduct, app_database: str
) -> None:
    bert = await product.sign_up(BERT)
    assert read_refusal(await add(bert, anna.key)) == (409, "passkey_taken")
    assert read_refusal(await add(anna.person, anna.key)) == (409, "passkey_taken")
    offers = [await ask(bert, OWN) for _ in range(3)]
    await run_sql(
        app_database,
        "INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name, transports, is_backed_up) "
        "SELECT gen_random_uuid(), u.id, sha256(n::text::bytea), '', 0, 'Old', '{}', false "
        f"FROM users u, generate_series(1, 19) n WHERE u.email = '{BERT}'",
    )
    keys = [SoftwareAuthenticator(product.settings.origin) for _ in offers]
    answers = []
    for offer, key in zip(offers, keys, strict=True):  # each renews the cookie, so not at once
        answers.append(await bert.post(OWN, json=answer_to(offer, key.make(offer["publicKey"]))))
    assert [answer.status_code for answer in answers] == [201, 409, 409]
    assert read_refusal(answers[-1]) == (409, "too_many_passkeys")
    assert read_refusal(await bert.post(f"{OWN}/options")) == (409, "too_many_passkeys")


async def test_adding_and_removing_renew_the_cookie(anna: Holder, product: ServedProduct) -> None:
    async def copy() -> httpx.AsyncClient:
        thief = await product.client()
        thief.cookies.update(dict(anna.person.cookies))
        assert await is_in(thief)
        return thief

    thief = await copy()
    assert (await add(anna.person, SoftwareAuthenticator(product.settings.origin))).status_code == 201
    assert (await is_in(anna.person), await is_in(thief)) == (True, False)
    thief = await copy()
    assert (await anna.person.delete(f"{OWN}/{anna.id}")).status_code == 204
    assert (await is_in(anna.person), await is_in(thief)) == (True, False)


async def test_another_persons_passkey_is_not_there(anna: Holder, product: ServedProduct) -> None:
    bert = await product.sign_up(BERT)
    for wanted in (anna.id, NOBODYS, anna.id.upper() + "x", "1", "%00", "'"):
        one = f"{OWN}/{wanted}"
        assert read_refusal(await bert.patch(one, json={"name": "Mine"})) == (404, "not_found")
        assert read_refusal(await bert.delete(one)) == (404, "not_found")
        for page in ("rename", "remove"):
            assert (await bert.get(f"{PAGE}/{wanted}/{page}")).status_code == 404
        assert (await bert.post(f"{PAGE}/{wanted}/rename", data={"name": "Mine"})).status_code == 404
        assert (await bert.post(f"{PAGE}/{wanted}/remove")).status_code == 404
    (listed,) = (await anna.person.get(OWN)).json()["passkeys"]
    assert listed["name"] == "Blue key"


async def test_the_last_way_in_stays(anna: Holder, app_database: str) -> None:
    await run_sql(app_database, "UPDATE users SET password_hash = NULL")
    assert read_refusal(await anna.person.delete(f"{OWN}/{anna.id}")) == (409, "last_way_in")
    assert len((await anna.person.get(OWN)).json()["passkeys"]) == 1
    await run_sql(
        app_database,
        "INSERT INTO oauth_accounts (provider, subject, user_id, login) SELECT 'github', '1', id, 'anna' FROM users",
    )
    assert (await anna.person.delete(f"{OWN}/{anna.id}")).status_code == 204


NAMES = {"": 422, "   ": 422, "x" * 61: 422, "two\nlines": 422, "nul\0": 422, "half \ud800": 422, "Schlüssel 🔑": 200}


async def test_names(anna: Holder, product: ServedProduct) -> None:
    for name, status in NAMES.items():
        headers = {"content-type": "application/json"}
        body = json.dumps({"name": name})
        answer = await anna.person.patch(f"{OWN}/{anna.id}", content=body, headers=headers)
        assert answer.status_code == status, name
    offer = await ask(anna.person, OWN)
    made = SoftwareAuthenticator(product.settings.origin).make(offer["publicKey"])
    answer = await anna.person.post(OWN, json=answer_to(offer, made))
    assert answer.json()["name"].startswith("Passkey of ")


async def test_hostile_bodies_are_refused(anna: Holder, product: ServedProduct) -> None:
    client = await product.client()
    offer = await ask(client, ENTRANCE)
    right = answer_to(offer, anna.key.show(offer["publicKey"]))
    response = right["credential"]["response"]
    wrong: list[Any] = [
        None,
        [],
        {},
        {**right, "challengeId": "x"},
        {**right, "credential": "x"},
        {**right, "credential": {**right["credential"], "type": "password"}},
        {**right, "credential": {**right["credential"], "id": "\0"}},
        {**right, "credential": {**right["credential"], "id": "=" * 4}},
        {**right, "credential": {**right["credential"], "id": "A"}},  # no bytes have that text
        {**right, "credential": {**right["credential"], "id": 7}},
    ]
    wrong += [
        {**right, "credential": {**right["credential"], "response": {**response, part: value}}}
        for part in ("clientDataJSON", "authenticatorData", "signature")
        for value in (None, 7, "", "a b", "ü", "A" * 50_000)
    ]
    statuses = [(await client.post(ENTRANCE, json=body)).status_code for body in wrong]
    assert Counter(statuses) == {422: len(wrong)}
    for part, value in (("clientDataJSON", b"\xff"), ("clientDataJSON", b"[" * 4000), ("authenticatorData", b"x")):
        offer = await ask(client, ENTRANCE)
        body = answer_to(offer, anna.key.show(offer["publicKey"]))
        body["credential"]["response"][part] = to_text(value)
        assert read_refusal(await client.post(ENTRANCE, json=body)) == (401, "invalid_credentials")


async def test_limits_at_the_door(serve: Serve) -> None:
    product = await serve(limits=tight_limits(signin_address=Limit(2, 60), passkey_options=Limit(6, 60)))
    anna = await make_holder(product)
    client = await product.client()
    assert (await show(client, ENTRANCE, anna.key)).status_code == 200  # a right one takes no place
    for _ in range(2):
        assert (await show(client, ENTRANCE, anna.key, flags=PRESENT)).status_code == 401
    refused = await show(client, ENTRANCE, anna.key)
    assert read_refusal(refused) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) > 0
    for _ in range(2):
        await ask(client, ENTRANCE)
    assert read_refusal(await client.post(f"{ENTRANCE}/options")) == (429, "rate_limited")
    await ask(anna.person, CONFIRM)  # counted by person, not by address


async def test_emails_announce_added_and_removed_ones(serve_mailing: ServeMailing) -> None:
    mailing = await serve_mailing()
    person = await mailing.sign_up(ANNA)
    made = await add(person, SoftwareAuthenticator(mailing.product.settings.origin))
    await mailing.postbox.wait(to=ANNA, count=2)
    assert (await person.delete(f"{OWN}/{made.json()['id']}")).status_code == 204
    emails = await mailing.postbox.wait(to=ANNA, count=3)
    assert [email.subject for email in emails[1:]] == ["A passkey was added", "A passkey was removed"]
    for email in emails[1:]:
        assert "“Blue key”" in email.text
        assert "“Blue key”" in email.html
        assert f"{mailing.product.settings.origin}{PAGE}" in email.links


def allow_passkeys(product: ServedProduct) -> None:
    """Browsers have them at names; the tests' address is a number."""
    product.registry.get(Pages).environment.globals["can_use_passkeys"] = True


async def test_the_pages_work_without_script(anna: Holder, product: ServedProduct, app_database: str) -> None:
    allow_passkeys(product)
    elsewhere = await product.client()
    assert (await show(elsewhere, ENTRANCE, anna.key)).status_code == 200
    page = (await anna.person.get(PAGE)).text
    assert "Blue key" in page
    assert "requires JavaScript" in page

    form = f"{PAGE}/{anna.id}/rename"
    assert "Blue key" in (await anna.person.get(form)).text
    again = await anna.person.post(form, data={"name": "x" * 61})
    assert (again.status_code, "x" * 61 in again.text) == (422, True)
    done = await anna.person.post(form, data={"name": "<b>Key</b>"})
    assert (done.status_code, done.headers["location"]) == (303, f"{PAGE}?done=renamed")
    page = (await anna.person.get(done.headers["location"])).text
    assert "&lt;b&gt;Key&lt;/b&gt;" in page
    assert "Renamed." in page

    form = f"{PAGE}/{anna.id}/remove"
    assert (await anna.person.get(form)).status_code == 200
    done = await anna.person.post(form, data={"end_others": "1"})
    assert (done.status_code, done.headers["location"]) == (303, f"{PAGE}?done=removed")
    assert "No passkeys yet" in (await anna.person.get(done.headers["location"])).text
    assert not await is_in(elsewhere)
    assert await is_in(anna.person)


async def test_the_pages_of_a_stale_sign_in(anna: Holder, product: ServedProduct, app_database: str) -> None:
    allow_passkeys(product)
    await make_stale(app_database)
    page = await anna.person.get(PAGE)
    assert f"/settings/account/confirm?next={PAGE}" in page.text
    assert "data-passkey-form" not in page.text
    answer = await anna.person.get(f"{PAGE}/{anna.id}/remove")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"/settings/account/confirm?next={PAGE}/{anna.id}/remove",
    )


async def test_the_password_alone_still_signs_in(anna: Holder, client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/auth/signin", json={"email": ANNA, "password": PASSWORD})
    assert answer.json() == {"ok": True, "mfaRequired": False}
