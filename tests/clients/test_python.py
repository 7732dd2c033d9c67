"""The official Python client, sync and async; the steps are in `tour.py`, what they must bring is in `expected.py`."""

import asyncio
from typing import Any

import pytest
from postgrest.exceptions import APIError
from supabase import AsyncClient, acreate_client, create_client

from tests.clients.conftest import Library
from tests.clients.expected import VersionedRow, expect_python, list_expected_writes
from tests.clients.tour import walk
from tests.fixtures.bench import Backend, on_both_backends

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the client's own, on its way to 3


def describe(answer: Any) -> VersionedRow:
    if answer is None:  # of maybe_single
        return {"data": []}
    return {"data": answer.data} | ({} if answer.count is None else {"count": answer.count})


def describe_error(error: APIError) -> VersionedRow:
    return {"error": {name: getattr(error, name) for name in ("code", "message", "details", "hint")}}


async def tour(client: AsyncClient) -> dict[str, VersionedRow]:
    seen = {}
    for step, query in walk(client):
        try:
            seen[step] = describe(await query.execute())
        except APIError as error:
            seen[step] = describe_error(error)
    return seen


def tour_without_a_loop(url: str, token: str) -> dict[str, VersionedRow]:
    client = create_client(url, token)
    seen = {}
    for step, query in walk(client):
        try:
            seen[step] = describe(query.execute())
        except APIError as error:
            seen[step] = describe_error(error)
    client.postgrest.aclose()
    return seen


async def leave_in_the_middle(client: AsyncClient) -> None:
    """Of a statement: the next request is well, and the statement does not run on."""

    async def await_dozing(wanted: int) -> None:
        while (await client.rpc("count_dozing", {}, get=True).execute()).data != wanted:
            pass

    request = asyncio.create_task(client.rpc("doze", {}, get=True).execute())
    async with asyncio.timeout(10):
        await await_dozing(1)
        request.cancel()
        await await_dozing(0)


@on_both_backends
async def test_the_tour(library: Library, backend: Backend) -> None:
    client = await acreate_client(library.url, library.agent.token)
    seen = await tour(client)
    await leave_in_the_middle(client)
    await client.postgrest.aclose()
    assert seen == expect_python(backend)
    assert await library.list_writes() == list_expected_writes(backend)
    await library.take_back()


@on_both_backends
async def test_the_tour_without_a_loop(library: Library, backend: Backend) -> None:
    seen = await asyncio.to_thread(tour_without_a_loop, library.url, library.agent.token)
    assert seen == expect_python(backend)
    assert await library.list_writes() == list_expected_writes(backend)
    await library.take_back()
