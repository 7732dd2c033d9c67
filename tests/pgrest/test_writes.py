"""POST, PUT, PATCH, DELETE and calls through the server app, on a real database."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from tests.pgrest.conftest import SECRET, Client

FULL = "return=representation"


def sign(claims: dict[str, Any]) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256"}, claims)]
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    signature = hmac.new(SECRET, text.encode(), hashlib.sha256).digest()
    return f"Bearer {text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_insert_one_and_many(client: Client) -> None:
    one = await client.post("/customers", {"id": 10, "name": "Dee"})
    assert (one.status, one.body, one.headers["content-range"]) == (201, b"", "*/*")
    rows = [{"id": 11, "name": "Eli"}, {"id": 12, "name": "Flo"}]
    many = await client.post("/customers?select=id,tags", rows, prefer=f"{FULL},count=exact")
    assert many.json() == [{"id": 11, "tags": []}, {"id": 12, "tags": []}]
    assert many.headers["content-range"] == "*/2"


async def test_an_insert_answers_the_rows_location(client: Client) -> None:
    answer = await client.post("/items", {"order_id": 3, "sku": "a"}, prefer="return=headers-only")
    assert answer.headers["location"] == "/items?order_id=eq.3&sku=eq.a"


async def test_missing_columns_take_defaults_only_when_asked(client: Client) -> None:
    rows = [{"id": 20, "name": "Gil", "tags": ["a"]}, {"id": 21, "name": "Hal"}]
    plain = await client.post("/customers?columns=id,name,tags", rows)
    assert plain.json()["code"] == "23502"
    filled = await client.post("/customers?columns=id,name,tags", rows, prefer=f"missing=default,{FULL}")
    assert [row["tags"] for row in filled.json()] == [["a"], []]
    assert filled.headers["preference-applied"] == "missing=default, return=representation"


async def test_insert_answers_with_embedded_rows(client: Client) -> None:
    body = {"customer_id": 1, "total": 3}
    answer = await client.post("/orders?select=total,customers!customer_id(name)", body, prefer=FULL)
    assert answer.json() == [{"total": 3.00, "customers": {"name": "Ada"}}]


async def test_upsert_merges_or_ignores(client: Client) -> None:
    rows = [{"id": 1, "name": "Ada L."}, {"id": 30, "name": "Ivy"}]
    merged = await client.post("/customers", rows, prefer=f"resolution=merge-duplicates,{FULL}")
    assert merged.status == 201
    assert [row["name"] for row in merged.json()] == ["Ada L.", "Ivy"]
    again = await client.post("/customers", rows, prefer="resolution=merge-duplicates")
    assert again.status == 200
    ignored = await client.post("/customers", rows, prefer=f"resolution=ignore-duplicates,{FULL}")
    assert (ignored.status, ignored.json()) == (201, [])
    by_email = await client.post(
        "/customers?on_conflict=email",
        {"id": 99, "name": "Bobby", "email": "bob@example.com"},
        prefer="resolution=merge-duplicates",
    )
    assert by_email.json()["code"] == "23503"  # id 2 is referenced, so it cannot become 99


async def test_put_writes_one_row_by_its_key(client: Client) -> None:
    made = await client.send("PUT", "/customers?id=eq.40", {"id": 40, "name": "Jon"}, {"Prefer": FULL})
    assert (made.status, made.json()[0]["name"]) == (201, "Jon")
    changed = await client.send("PUT", "/customers?id=eq.40", {"id": 40, "name": "Jim"}, {"Prefer": FULL})
    assert (changed.status, changed.json()[0]["name"]) == (200, "Jim")
    mismatch = await client.send("PUT", "/customers?id=eq.41", {"id": 42, "name": "Kim"})
    assert mismatch.json()["code"] == "PGRST115"
    assert (await client.get("/customers?id=in.(41,42)")).json() == []
    no_key = await client.send("PUT", "/customers?name=eq.Jim", {"id": 40, "name": "x"})
    assert (no_key.status, no_key.json()["code"]) == (405, "PGRST105")


async def test_update_by_filter(client: Client) -> None:
    answer = await client.patch("/orders?customer_id=eq.1", {"state": "sent"}, prefer="count=exact")
    assert (answer.status, answer.headers["content-range"]) == (204, "0-1/2")
    shown = await client.patch("/orders?id=eq.3&select=id,s:state", {"state": "paid"}, prefer=FULL)
    assert shown.json() == [{"id": 3, "s": "paid"}]
    nothing = await client.patch("/orders?id=eq.3", {}, prefer=FULL)
    assert (nothing.status, nothing.json()) == (200, [])
    unknown = await client.patch("/orders?id=eq.3", {"ghost": 1})
    assert unknown.json()["code"] == "PGRST204"


async def test_delete_by_filter(client: Client) -> None:
    answer = await client.delete("/items?or=(sku.eq.b,amount.gt.5)", prefer=f"{FULL},count=exact")
    assert (answer.status, answer.headers["content-range"]) == (200, "*/2")
    assert (await client.get("/items?select=sku")).json() == [{"sku": "a"}]


async def test_limits_on_affected_rows_undo_the_write(client: Client) -> None:
    refused = await client.patch("/customers?id=gt.0", {"name": "x"}, prefer="handling=strict,max-affected=2")
    assert (refused.status, refused.json()["code"]) == (400, "PGRST124")
    singular = await client.delete("/items", prefer=FULL, accept="application/vnd.pgrst.object+json")
    assert (singular.status, singular.json()["code"]) == (406, "PGRST116")
    assert len((await client.get("/items")).json()) == 3
    assert (await client.get("/customers?name=eq.x")).json() == []


async def test_tx_rollback_answers_and_keeps_nothing(client: Client) -> None:
    answer = await client.post("/customers", {"id": 50, "name": "Kit"}, prefer=f"tx=rollback,{FULL}")
    assert (answer.status, answer.json()[0]["id"]) == (201, 50)
    assert (await client.get("/customers?id=eq.50")).json() == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "PGRST102"),
        (b"{", "PGRST102"),
        (b'[{"id": 1}, {"name": "x"}]', "PGRST102"),
        (b"[1, 2]", "PGRST102"),
        (b'{"id": 1, "name": "\x00"}', "PGRST102"),
        (b'{"id": 70, "name": "\\u0000"}', "22P05"),
        (b'{"id": 70, "name": "\\ud800"}', "PGRST102"),
        (b'{"id": ' + b"9" * 5000 + b', "name": "x"}', "22003"),
        (b'{"name": ' + b"[" * 100_000 + b"}", "PGRST102"),
        (b"\xff\xfe", "PGRST102"),
    ],
)
async def test_hostile_bodies_are_refused(client: Client, body: bytes, code: str) -> None:
    answer = await client.post("/customers", body)
    assert (answer.status, answer.json()["code"]) == (400, code)


async def test_csv_and_forms_are_bodies_too(client: Client) -> None:
    csv = b'id,name,email\n60,Lea,NULL\n61,"Max, M.",m@x\n'
    assert (await client.post("/customers", csv, content_type="text/csv")).status == 201
    form = b"id=62&name=Nan+N."
    assert (await client.post("/customers", form, content_type="application/x-www-form-urlencoded")).status == 201
    names = (await client.get("/customers?select=name&id=gte.60&order=id")).json()
    assert [row["name"] for row in names] == ["Lea", "Max, M.", "Nan N."]


@pytest.mark.parametrize(
    ("method", "target", "body", "expected"),
    [
        ("GET", "/rpc/add?a=1", None, 11),
        ("POST", "/rpc/add", {"a": 1, "b": 2}, 3),
        ("GET", "/rpc/sum_all?numbers=1&numbers=2", None, 3),
        ("POST", "/rpc/sum_all", {"numbers": [1, 2, 3]}, 6),
        ("POST", "/rpc/echo", {"x": [1]}, {"x": [1]}),
        ("GET", "/rpc/best_customers?lowest=2&select=id,passports(number)&id=eq.3", None,
         [{"id": 3, "passports": None}]),
        ("POST", "/rpc/best_customers?select=name&order=name.desc&limit=1", {"lowest": 1}, [{"name": "Cyd"}]),
    ],
)  # fmt: skip
async def test_calls(client: Client, method: str, target: str, body: Any, expected: Any) -> None:
    answer = await client.send(method, target, body)
    assert (answer.status, answer.json()) == (200, expected)


async def test_a_void_call_has_no_content(client: Client) -> None:
    answer = await client.post("/rpc/rename_all", {"word": "same"})
    assert (answer.status, answer.body) == (204, b"")
    assert (await client.get("/customers?select=name&limit=1")).json() == [{"name": "same"}]


async def test_a_read_cannot_write_even_by_force(client: Client) -> None:
    for answer in (await client.get("/rpc/sneak"), await client.post("/rpc/sneak", {})):
        assert answer.status in (405, 500)
    assert len((await client.get("/items")).json()) == 3
    assert (await client.get("/rpc/rename_all?word=x")).status == 405


async def test_a_function_can_decide_the_whole_answer(client: Client) -> None:
    answer = await client.post("/rpc/teapot", {})
    assert (answer.status, answer.headers["x-kind"], answer.json()["code"]) == (418, "pot", "T1")


async def test_role_and_claims_hold_for_one_request(client: Client) -> None:
    token = sign({"role": "web_reader", "org": 7, "exp": int(time.time()) + 60})
    known = await client.get("/rpc/whoami", authorization=token)
    assert known.json()["user"] == "web_reader"
    assert known.json()["claims"]["org"] == 7
    assert (await client.get("/rpc/whoami")).json()["user"] == "web_anon"
    assert (await client.get("/staff", authorization=token)).status == 200
    denied = await client.delete("/staff?id=eq.1", authorization=token)
    assert (denied.status, denied.json()["code"]) == (403, "42501")


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("Bearer ", "PGRST301"),
        ("Bearer a.b", "PGRST301"),
        ("Bearer e30.e30.e30", "PGRST301"),
        (sign({"role": "web_reader", "exp": 1}), "PGRST303"),
        (sign({"role": "web_reader", "exp": "soon"}), "PGRST303"),
        (sign({"role": "web_reader"})[:-4] + "AAAA", "PGRST301"),
    ],
)
async def test_bad_tokens_are_refused(client: Client, token: str, code: str) -> None:
    answer = await client.get("/customers", authorization=token)
    assert (answer.status, answer.json()["code"]) == (401, code)
