"""What holds for every request before any handler runs."""

from ipaddress import ip_network

import httpx
import pytest

from basewarden.web.edge import find_client_address, hide_tokens
from tests.fixtures.app import ServedProduct

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def origins(product: ServedProduct) -> dict[str, str]:
    own = product.settings.origin
    return {
        "other host": "http://example.com",
        "other port": f"{own}1",
        "other scheme": own.replace("http://", "https://"),
        "null": "null",
        "empty": "",
        "prefix": f"{own}.example.com",
    }


@pytest.mark.parametrize("method", UNSAFE)
async def test_a_foreign_origin_is_refused_before_any_handler(
    client: httpx.AsyncClient, origins: dict[str, str], method: str
) -> None:
    for name, origin in origins.items():
        answer = await client.request(method, "/api/auth/signout", headers={"Origin": origin})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), name
        assert set(answer.json()) == {"code", "message", "details", "hint"}
        assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_no_header_is_sent_twice(client: httpx.AsyncClient) -> None:
    for path in ("/signin", "/api/health/live", "/api/nothing", "/api/v/x/rest/v1/y"):
        names = [name for name, _ in (await client.get(path)).headers.raw if name.lower() != b"set-cookie"]
        assert len(names) == len(set(names)), path


async def test_own_origin_and_none_pass(client: httpx.AsyncClient, product: ServedProduct) -> None:
    body = {"email": "nobody@example.com", "password": "wrong and long"}
    for headers in ({}, {"Origin": product.settings.origin}):
        answer = await client.post("/api/auth/signin", json=body, headers=headers)
        assert answer.json()["code"] == "invalid_credentials"


async def test_a_foreign_origin_may_read_but_gets_no_cors(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/auth/session", headers={"Origin": "http://example.com"})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_every_answer_carries_its_id_and_the_security_headers(client: httpx.AsyncClient) -> None:
    seen = set()
    for path in ("/signin", "/api/auth/session", "/api/nothing", "/nothing", "/api/v/x/rest/v1/y"):
        answer = await client.get(path)
        seen.add(answer.headers["x-request-id"])
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    assert len(seen) == 5


async def test_bad_json_and_bad_fields(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    broken = await client.post("/api/auth/signin", content=b"{", headers=headers)
    assert (broken.status_code, broken.json()["code"]) == (400, "bad_json")
    missing = await client.post("/api/auth/signin", json={"email": "a@example.com"})
    assert (missing.status_code, missing.json()["code"]) == (422, "validation_failed")
    assert [item["field"] for item in missing.json()["details"]] == ["password"]


async def test_another_loopback_name_is_led_to_the_origin(product: ServedProduct) -> None:
    client = await product.client()
    host = product.settings.origin.replace("http://127.0.0.1", "localhost")
    answer = await client.get("/signin?next=%2Fconnections", headers={"Host": host})
    assert answer.status_code == 307
    assert answer.headers["location"] == f"{product.settings.origin}/signin?next=%2Fconnections"
    for other in ("example.com", "localhost", "localhost:99999999", "[::1"):
        assert (await client.get("/signin", headers={"Host": other})).status_code == 200


def test_the_forwarded_address_counts_only_from_a_trusted_proxy() -> None:
    proxies = (ip_network("10.0.0.0/8"),)

    def find(peer: str, forwarded: str) -> str:
        return find_client_address(
            {"client": (peer, 1), "headers": [(b"x-forwarded-for", forwarded.encode())]}, proxies
        )

    assert find("203.0.113.9", "198.51.100.1") == "203.0.113.9"
    assert find("10.0.0.1", "198.51.100.1") == "198.51.100.1"
    assert find("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2") == "198.51.100.1"
    assert find("10.0.0.1", "<script>") == "10.0.0.1"
    assert find_client_address({"client": ("10.0.0.1", 1), "headers": []}, ()) == "10.0.0.1"


def test_tokens_in_paths_stay_out_of_the_log() -> None:
    token = "k" * 43
    assert hide_tokens(f"/reset/{token}") == "/reset/…"
    plain = "/api/connections/01a20e6d-a6cc-7ab5-be21-609e3b396094/sessions"
    assert hide_tokens(plain) == plain
