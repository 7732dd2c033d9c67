"""The account's pages offer what works, and advise what can be done."""

import httpx

from tests.fixtures.app import Serve, ServedProduct


async def test_passkeys_are_offered_where_they_work(
    serve: Serve, client: httpx.AsyncClient, product: ServedProduct
) -> None:
    assert "passkey" not in (await client.get("/signin")).text
    person = await product.sign_up("ada@example.com")
    page = (await person.get("/settings/account/passkeys")).text
    assert "Passkeys do not work at this address" in page
    assert "data-passkey-form" not in page
    named = await serve({"origin": "https://app.example.com"})
    assert "Sign in with a passkey" in (await (await named.client()).get("/signin")).text


def test_where_passkeys_work(product: ServedProduct) -> None:
    works = {
        "http://localhost:8000": True,
        "https://app.example.com": True,
        "http://app.example.com": False,
        "https://127.0.0.1": False,
        "https://[2001:db8::1]:8443": False,
    }
    settings = product.settings
    assert {origin: settings.model_copy(update={"origin": origin}).can_use_passkeys for origin in works} == works


async def test_the_sign_in_that_looks_was_last_seen_now(owner: httpx.AsyncClient) -> None:
    page = (await owner.get("/settings/account/sessions")).text
    assert '<td data-label="Last seen">now</td>' in page


async def test_the_advice_before_a_deletion_names_only_possible_steps(
    owner: httpx.AsyncClient, connection_id: str
) -> None:
    page = (await owner.get("/settings/account/data")).text
    assert f"/c/{connection_id}" in page
    assert "First transfer the ownership of the connections that only you own, or delete them:" in page
