"""A Postgres connection string in the field of a project's URL: recognised, and never sent back."""

import httpx
import pytest

PASTED = "postgresql://shop:s3cr3t-pa55@db.example.com:5432/shop"
FORM = {"name": "Shop", "environment": "other"}


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", " POSTGRES"])
async def test_the_page_says_where_it_goes(owner: httpx.AsyncClient, scheme: str) -> None:
    url = PASTED.replace("postgresql", scheme, 1)
    answer = await owner.post("/connections/new", data={**FORM, "url": url})
    assert answer.status_code == 422
    assert "This is a Postgres connection string" in answer.text
    assert "needs both a URL and a key" not in answer.text
    assert "s3cr3t-pa55" not in answer.text
    assert 'value="Shop"' in answer.text


async def test_so_does_the_api(owner: httpx.AsyncClient) -> None:
    answer = await owner.post("/api/connections", json={**FORM, "url": PASTED, "key": "k"})
    assert answer.status_code == 422
    assert [item["field"] for item in answer.json()["details"]] == ["url"]
    assert "s3cr3t-pa55" not in answer.text


async def test_no_password_in_an_address_is_sent_back(owner: httpx.AsyncClient) -> None:
    answer = await owner.post(
        "/connections/new", data={**FORM, "url": "https://u:s3cr3t-pa55@x.supabase.co", "key": "k"}
    )
    assert answer.status_code == 422
    assert "s3cr3t-pa55" not in answer.text


async def test_nor_on_the_settings_page(owner: httpx.AsyncClient, connection_id: str) -> None:
    answer = await owner.post(f"/c/{connection_id}/settings/project", data={"url": PASTED})
    assert answer.status_code == 422
    assert "This is a Postgres connection string" in answer.text
    assert "s3cr3t-pa55" not in answer.text
