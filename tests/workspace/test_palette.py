"""What Ctrl/Cmd-K finds, and the guide."""

import httpx

from tests.workspace.conftest import Store


async def find(client: httpx.AsyncClient, text: str, page: str = "/connections") -> list[tuple[str, str]]:
    answer = await client.get("/palette", params={"q": text}, headers={"Referer": f"http://127.0.0.1{page}"})
    assert answer.status_code == 200
    return [(item["label"], item["href"]) for item in answer.json()["items"]]


async def test_connections_from_anywhere(store: Store) -> None:
    assert ("Store", f"/c/{store.connection_id}") in await find(store.owner, "sto")
    assert ("public.lamps", store.table("lamps")) not in await find(store.owner, "lamps")


async def test_rooms_tables_sessions_and_rows_of_the_current_connection(store: Store) -> None:
    write = {"x-basewarden-session": "spring prices"}
    address = f"/api/v/{store.connection_id}/rest/v1/lamps?id=eq.1"
    assert (await store.owner.patch(address, json={"price": 1}, headers=write)).status_code == 204
    assert ("Agents", f"/c/{store.connection_id}/agents") in await find(store.owner, "agen", store.data)
    assert ("public.lamps", store.table("lamps")) in await find(store.owner, "lamps", store.data)
    assert ("Reading lamp", store.row("lamps", "1")) in await find(store.owner, "reading", store.data)
    assert ("Desk lamp", store.row("lamps", "2")) in await find(store.owner, "Desk", store.data)
    assert any(label == "spring prices" for label, _ in await find(store.owner, "spring", store.data))


async def test_a_stranger_finds_nothing_there(store: Store, stranger: httpx.AsyncClient) -> None:
    assert await find(stranger, "lamp", store.data) == []
    assert await find(stranger, "Store", store.data) == []


async def test_the_guide_is_open_to_all(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/guide")
    assert answer.status_code == 200
    assert "/api/v/&lt;connection&gt;" in answer.text
