"""`/api/auth/*` over HTTP."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from tests.fixtures.app import PASSWORD, Serve, ServedProduct
from tests.fixtures.sql import run_sql

COOKIE = "authjs.session-token"
OLD_HASH = "$argon2id$v=19$m=64,t=2,p=1$OGYoHsYC7kXH1TC1kfwm6A$EwZJUxdDLERYgyLzvgfnpqXdg38ecF+bAftz9JrW/c0"
ANNA = {"email": "Anna@Example.com", "password": PASSWORD, "name": "Anna"}


async def read_session(person: httpx.AsyncClient) -> object:
    answer = await person.get("/api/auth/session")
    assert answer.status_code == 200
    return answer.json()


async def test_from_sign_up_to_sign_out(client: httpx.AsyncClient) -> None:
    signed_up = await client.post("/api/auth/signup", json=ANNA)
    assert (signed_up.status_code, signed_up.json()) == (201, {"ok": True})
    assert await read_session(client) is None

    signed_in = await client.post("/api/auth/signin", json={"email": "anna@example.COM ", "password": PASSWORD})
    assert (signed_in.status_code, signed_in.json()) == (200, {"ok": True, "mfaRequired": False})
    session = await read_session(client)
    assert isinstance(session, dict)
    assert session["user"]["email"] == "Anna@example.com"
    assert session["user"]["name"] == "Anna"
    left = datetime.fromisoformat(session["expires"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)

    token = client.cookies[COOKIE]
    signed_out = await client.post("/api/auth/signout")
    assert (signed_out.status_code, signed_out.content) == (204, b"")
    assert COOKIE not in client.cookies
    answer = await client.get("/api/connections", headers={"cookie": f"{COOKIE}={token}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_the_cookie_is_as_the_contract_says(product: ServedProduct, serve: Serve) -> None:
    client = await product.client()
    await client.post("/api/auth/signup", json=ANNA)
    answer = await client.post("/api/auth/signin", json={"email": ANNA["email"], "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(f"{COOKIE}=")
    assert {"httponly", "samesite=lax", "path=/"} <= set(cookie.split("; "))
    assert "secure" not in cookie

    secure = await serve({"origin": "https://app.example.com"})
    url = f"http://127.0.0.1:{secure.port}/api/auth/signin"
    answer = await client.post(url, json={"email": ANNA["email"], "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"__Secure-{COOKIE}=")
    assert "Secure" in cookie.split("; ")


async def test_only_the_hash_of_the_token_and_of_the_password_is_stored(
    owner: httpx.AsyncClient, app_database: str
) -> None:
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        cursor = await connection.execute("SELECT string_agg(t::text, ' ') FROM signin_sessions t")
        sessions = str((await cursor.fetchone() or [""])[0])
        cursor = await connection.execute("SELECT string_agg(t::text, ' ') FROM users t")
        users = str((await cursor.fetchone() or [""])[0])
    assert owner.cookies[COOKIE] not in sessions
    assert PASSWORD not in users
    assert "$argon2id$" in users


async def test_signing_up_a_taken_address_reveals_and_changes_nothing(product: ServedProduct) -> None:
    anna, other = await product.client(), await product.client()
    await anna.post("/api/auth/signup", json=ANNA)
    again = await other.post(
        "/api/auth/signup", json={**ANNA, "email": "ANNA@example.com", "password": "another walk in the snow"}
    )
    assert (again.status_code, again.json()) == (201, {"ok": True})
    wrong = await other.post("/api/auth/signin", json={"email": ANNA["email"], "password": "another walk in the snow"})
    right = await other.post("/api/auth/signin", json={"email": ANNA["email"], "password": PASSWORD})
    assert (wrong.status_code, right.status_code) == (401, 200)


async def test_wrong_password_and_unknown_address_look_alike(client: httpx.AsyncClient) -> None:
    await client.post("/api/auth/signup", json=ANNA)
    wrong = await client.post("/api/auth/signin", json={"email": ANNA["email"], "password": "not the one of Ada"})
    unknown = await client.post(
        "/api/auth/signin", json={"email": "nobody@example.com", "password": "not the one of Ada"}
    )
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["code"] == "invalid_credentials"
    assert "set-cookie" not in wrong.headers


@pytest.mark.parametrize(
    ("password", "name"),
    [("short12", ""), ("anna@example.com", ""), ("Long Name Of Anna", "long name of anna"), ("x" * 1025, "")],
)
async def test_weak_passwords_are_refused_beside_their_field(
    client: httpx.AsyncClient, password: str, name: str
) -> None:
    answer = await client.post("/api/auth/signup", json={"email": ANNA["email"], "password": password, "name": name})
    assert answer.status_code == 422
    assert answer.json()["details"][0]["field"] == "password"
    assert password not in answer.text


@pytest.mark.parametrize(
    "password",
    ["a walk " * 146 + "in", "  spaces around  ", "пароль из слов", "with\x00zero inside", "🦊🐻🐼🐨🐯🦁🐮🐷"],
)
async def test_any_other_password_works_whole(client: httpx.AsyncClient, password: str) -> None:
    account = {"email": "anna@example.com", "password": password}
    assert (await client.post("/api/auth/signup", json=account)).status_code == 201
    shorter = await client.post("/api/auth/signin", json={**account, "password": password[:-1]})
    assert shorter.status_code == 401
    assert (await client.post("/api/auth/signin", json=account)).status_code == 200


async def test_a_password_typed_in_another_normal_form_is_the_same(client: httpx.AsyncClient) -> None:
    await client.post("/api/auth/signup", json={"email": "anna@example.com", "password": "caf\u00e9 au lait"})
    account = {"email": "anna@example.com", "password": "cafe\u0301 au lait"}
    assert (await client.post("/api/auth/signin", json=account)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"email": "not an address", "password": PASSWORD},
        {"email": "a@example.com"},
        {"email": "a@example.com", "password": PASSWORD, "name": "two\nlines"},
        {"email": "a@example.com", "password": PASSWORD, "admin": True},
        {"email": "a@example.com", "password": ["x"]},
        [],
    ],
)
async def test_a_body_that_does_not_fit_is_422(client: httpx.AsyncClient, body: object) -> None:
    answer = await client.post("/api/auth/signup", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


@pytest.mark.parametrize(
    "text",
    [
        '{"email": "a@example.com", "password": "\\ud800 alone is long"}',
        '{"email": "a\\u0000b", "password": "x"}',
    ],
)
async def test_hostile_text_is_no_500(client: httpx.AsyncClient, text: str) -> None:
    for path in ("/api/auth/signup", "/api/auth/signin"):
        answer = await client.post(path, content=text, headers={"content-type": "application/json"})
        assert answer.status_code in {401, 422}, answer.text


async def test_a_new_sign_in_ends_the_session_whose_cookie_came_along(product: ServedProduct) -> None:
    client = await product.sign_up("anna@example.com")
    first = client.cookies[COOKIE]
    account = {"email": "anna@example.com", "password": PASSWORD}
    assert (await client.post("/api/auth/signin", json=account)).status_code == 200
    assert client.cookies[COOKIE] != first
    stolen = await product.client()
    answer = await stolen.get("/api/connections", headers={"cookie": f"{COOKIE}={first}"})
    assert answer.status_code == 401


async def test_sign_out_is_known_in_every_process_at_once(serve: Serve) -> None:
    here, there = await serve(), await serve()
    client = await here.sign_up("anna@example.com")
    url = f"{there.settings.origin}/api/connections"
    assert (await client.get(url)).status_code == 200
    headers = {"cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    await client.post("/api/auth/signout")
    deadline = datetime.now(UTC) + timedelta(seconds=2)  # far less than the cache would live
    while (await client.get(url, headers=headers)).status_code != 401:
        assert datetime.now(UTC) < deadline


async def test_signing_out_clears_what_the_browser_stored(owner: httpx.AsyncClient) -> None:
    answer = await owner.post("/api/auth/signout")
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    cleared = {
        cookie.partition("=")[0] for cookie in answer.headers.get_list("set-cookie") if "max-age=0" in cookie.lower()
    }
    assert cleared == {COOKIE, "basewarden.mfa"}


@pytest.mark.parametrize(("column", "age"), [("last_seen_at", "30 days"), ("created_at", "90 days")])
async def test_idle_and_old_sessions_are_over(
    product: ServedProduct, serve: Serve, app_database: str, column: str, age: str
) -> None:
    client = await product.sign_up("anna@example.com")
    await run_sql(app_database, f"UPDATE signin_sessions SET {column} = now() - interval '{age}'")
    other = await serve()  # its cache knows nothing of the session
    assert (await client.get(f"{other.settings.origin}/api/connections")).status_code == 401


async def test_being_seen_keeps_a_session_alive_up_to_its_absolute_end(
    product: ServedProduct, serve: Serve, app_database: str
) -> None:
    client = await product.sign_up("anna@example.com")
    await run_sql(
        app_database,
        "UPDATE signin_sessions SET last_seen_at = now() - interval '29 days', created_at = now() - interval '80 days'",
    )
    answer = await client.get(f"{(await serve()).settings.origin}/api/auth/session")
    left = datetime.fromisoformat(answer.json()["expires"]) - datetime.now(UTC)
    assert timedelta(days=9) < left <= timedelta(days=10)


@pytest.mark.parametrize("headers", [{"authorization": "Bearer x"}, {"apikey": "x"}])
async def test_a_bad_credential_is_401_even_beside_a_good_one(
    owner: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await owner.get("/api/connections")).status_code == 200
    assert (await owner.get("/api/connections", headers=headers)).status_code == 401


async def test_a_bad_cookie_counts_as_signed_out_on_public_routes(client: httpx.AsyncClient) -> None:
    headers = {"cookie": f"{COOKIE}=made-up"}
    assert (await client.get("/api/auth/session", headers=headers)).json() is None
    assert (await client.post("/api/auth/signout", headers=headers)).status_code == 204


async def test_a_post_from_another_site_is_stopped_before_any_handler(
    product: ServedProduct, app_database: str
) -> None:
    client = await product.client()
    for origin in ("https://evil.example", "null", product.settings.origin + "0"):
        answer = await client.post("/api/auth/signup", json=ANNA, headers={"origin": origin})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    answer = await client.post("/api/auth/signup", json=ANNA, headers={"origin": product.settings.origin})
    assert answer.status_code == 201


async def test_of_two_who_sign_in_while_the_hash_is_renewed_neither_is_refused(serve: Serve, app_database: str) -> None:
    product = await serve()
    clients = [await product.client() for _ in range(4)]
    await clients[0].post("/api/auth/signup", json=ANNA)
    await run_sql(app_database, f"UPDATE users SET password_hash = '{OLD_HASH}'")
    account = {"email": ANNA["email"], "password": PASSWORD}
    answers = await asyncio.gather(*(client.post("/api/auth/signin", json=account) for client in clients))
    assert [answer.status_code for answer in answers] == [200] * 4


async def test_a_hash_of_other_cost_is_renewed_at_sign_in(product: ServedProduct, app_database: str) -> None:
    client = await product.sign_up("anna@example.com")
    await run_sql(
        app_database,
        # argon2id of PASSWORD with two rounds, as an earlier version of the program might have made it
        f"UPDATE users SET password_hash = '{OLD_HASH}'",
    )
    account = {"email": "anna@example.com", "password": PASSWORD}
    assert (await client.post("/api/auth/signin", json=account)).status_code == 200
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        cursor = await connection.execute("SELECT password_hash FROM users")
        renewed = (await cursor.fetchone() or [""])[0]
    assert "m=64,t=1,p=1" in renewed
    assert (await client.post("/api/auth/signin", json=account)).status_code == 200
