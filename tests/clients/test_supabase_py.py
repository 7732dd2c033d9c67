"""The official Python client, sync and async, by the address and token that the product hands out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from postgrest.exceptions import APIError
from postgrest.types import CountMethod, ReturnMethod
from supabase import AsyncClient, Client, acreate_client, create_client

from tests.clients.conftest import Library
from tests.fixtures.bench import on_both_backends

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the client's own, on its way to 3


async def _data(query: Any) -> Any:
    return (await query.execute()).data


async def _ids(query: Any) -> list[int]:
    return [row["id"] for row in await _data(query)]


@pytest.fixture
async def books(library: Library) -> AsyncIterator[AsyncClient]:
    client = await acreate_client(library.url, library.agent.token)
    yield client
    await client.postgrest.aclose()


@on_both_backends
async def test_select_and_filters(books: AsyncClient) -> None:
    table = books.table("books")
    answer = await table.select("id, name:title, price").eq("id", 1).execute()
    assert answer.data == [{"id": 1, "name": "Pippi", "price": 9.50}]
    for query, expected in (
        (table.select("id").gt("price", 9), [1, 2]),
        (table.select("id").neq("title", "Pippi").lte("price", 8.25), [3]),
        (table.select("id").in_("title", ["Pippi", "Winter", 'odd, "one"']), [1, 4]),
        (table.select("id").is_("price", "null"), [4]),
        (table.select("id").ilike("title", "%in%"), [4]),
        (table.select("id").contains("tags", ["wild"]), [2, 3]),
        (table.select("id").overlaps("tags", ["long", "funny"]), [1, 2, 3]),
        (table.select("id").filter("extra->pages", "gt", "170"), [3]),
        (table.select("id").not_.is_("extra", "null"), [1, 3]),
        (table.select("id").or_("price.lt.9,and(title.eq.Ronja,price.gte.12)"), [2, 3]),
    ):
        assert await _ids(query.order("id")) == expected


@on_both_backends
async def test_order_range_count_and_single(books: AsyncClient) -> None:
    table = books.table("books")
    assert await _ids(table.select("id").order("price", desc=True, nullsfirst=False)) == [2, 1, 3, 4]
    page: Any = await table.select("id", count=CountMethod.exact).order("id").range(1, 2).execute()
    assert ([row["id"] for row in page.data], page.count) == ([2, 3], 4)
    counted = await table.select("id", count=CountMethod.exact, head=True).gt("price", 9).execute()
    assert counted.count == 2
    assert (await table.select("title").eq("id", 3).single().execute()).data == {"title": "Comet"}
    assert await table.select("title").eq("id", 999).maybe_single().execute() is None
    with pytest.raises(APIError) as refused:
        await table.select("title").single().execute()
    assert refused.value.code == "PGRST116"


@on_both_backends
async def test_embeds_both_ways(books: AsyncClient) -> None:
    found = await _data(books.table("authors").select("name, books(title)").eq("books.price", 9.5).order("id"))
    assert found[0] == {"name": "Astrid", "books": [{"title": "Pippi"}]}
    found = await _data(books.table("books").select("title, authors!inner(name)").eq("authors.name", "Tove"))
    assert [row["title"] for row in found] == ["Comet", "Winter"]
    assert found[0]["authors"] == {"name": "Tove"}


@on_both_backends
async def test_csv(books: AsyncClient) -> None:
    answer = await _data(books.table("authors").select("id,name").order("id").csv())
    assert answer.splitlines() == ["id,name", "1,Astrid", "2,Tove", "3,Nobody"]


async def test_errors_keep_their_shape(books: AsyncClient) -> None:
    with pytest.raises(APIError) as refused:
        await books.table("authors").insert({"id": 1, "name": "again"}).execute()
    assert (refused.value.code, refused.value.details) == ("23505", "Key (id)=(1) already exists.")
    with pytest.raises(APIError) as refused:
        await books.table("authors").delete().execute()
    assert refused.value.code == "filter_required"
    assert refused.value.hint == "Say which rows, for example ?id=eq.1."


async def test_calls(books: AsyncClient) -> None:
    assert await _data(books.rpc("price_of", {"titles": ["Pippi", "Ronja"]})) == 21.50
    assert await _data(books.rpc("price_of", {"titles": ["Pippi"]}, get=True)) == 9.50
    assert len(await _data(books.rpc("raise_prices", {"percent": 10}))) == 4


async def test_every_write_lands_in_the_journal(library: Library, books: AsyncClient) -> None:
    table = books.table("books")
    assert await _data(table.insert({"title": "Moomin", "author_id": 2})) == [
        {"id": 101, "title": "Moomin", "author_id": 2, "price": None, "tags": [], "extra": None}
    ]
    rows = [{"id": 7, "title": "A"}, {"id": 8, "title": "B"}]
    assert await _data(table.insert(rows, returning=ReturnMethod.minimal)) == []
    merged = await _data(table.upsert({"title": "Pippi", "price": 1}, on_conflict="title"))
    assert (merged[0]["id"], merged[0]["price"]) == (1, 1)
    assert sorted(await _ids(table.update({"price": 2}).in_("id", [7, 8]))) == [7, 8]
    assert await _ids(table.delete().eq("id", 7)) == [7]
    await books.table("authors").delete().eq("id", 1).execute()
    assert await library.told() == [
        ("books", "insert", 101),
        ("books", "insert", 7),
        ("books", "insert", 8),
        ("books", "update", 1),
        ("books", "update", 7),
        ("books", "update", 8),
        ("books", "delete", 7),
        ("authors", "delete", 1),
        ("books", "delete", 1),
        ("books", "delete", 2),
    ]


def _use_sync_client(url: str, token: str) -> list[Any]:
    client: Client = create_client(url, token)
    table = client.table("books")
    table.insert({"id": 50, "title": "Sync"}).execute()
    table.upsert([{"id": 50, "title": "Sync", "price": 3}]).execute()
    table.update({"price": 4}).eq("id", 50).execute()
    found = table.select("price, authors(name)").eq("id", 50).execute().data
    total = client.rpc("price_of", {"titles": ["Sync"]}).execute().data
    table.delete().eq("id", 50).execute()
    client.postgrest.aclose()
    return [found, total]


async def test_the_sync_client(library: Library) -> None:
    results = await asyncio.to_thread(_use_sync_client, library.url, library.agent.token)
    assert results == [[{"price": 4, "authors": None}], 4]
    assert await library.told() == [("books", verb, 50) for verb in ("insert", "update", "update", "delete")]
