"""Replacing an agent's token: the old one ends at once, the new one is shown once, and it asks who one is."""

import asyncio
import re
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from basewarden.connections import Agents
from basewarden.journal import RefusalLog
from tests.connections.test_agent_pages import TOKEN, add_member, make, set_role, write
from tests.connections.test_agent_states import api
from tests.fixtures.app import PASSWORD, Serve, ServedProduct, read_refusal
from tests.fixtures.waiting import wait_until
from tests.flows.records import Records
from tests.flows.test_reauth import sign_in_long_ago

OWNER = "owner@example.com"


@pytest.fixture
async def records(app_database: str) -> AsyncIterator[Records]:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as connection:
        yield Records(connection)


async def test_a_new_token_works_and_the_old_one_is_dead_everywhere(
    serve: Serve, owner: httpx.AsyncClient, connection_id: str
) -> None:
    other = await serve()
    own, old = await make(owner, connection_id)
    agents = other.registry.get(Agents)
    assert await agents.find_by_token(old) is not None
    answer = await owner.post(f"{api(own)}/rotate")
    assert set(answer.json()) == {"token"}
    new = answer.json()["token"]
    assert read_refusal(await write(owner, old, connection_id, json={"id": 1})) == (401, "unauthenticated")
    assert (await write(owner, new, connection_id, json={"id": 1})).status_code == 201
    await wait_until(lambda: agents.find_by_token(old), "the old token's end", matches=lambda caller: caller is None)
    assert await agents.find_by_token(new) is not None
    shown = (await owner.get(api(own))).json()
    assert shown["tokenHint"] == new[-4:]
    for page in (own, f"/c/{connection_id}/agents", api(own)):
        assert new not in (await owner.get(page)).text


async def test_a_token_is_replaced_once_by_a_form_that_is_sent_twice(
    owner: httpx.AsyncClient, connection_id: str
) -> None:
    own, old = await make(owner, connection_id)
    page = (await owner.get(f"{own}/rotate")).text
    assert f'name="tokenHint" value="{old[-4:]}"' in page
    answers = await asyncio.gather(*(owner.post(f"{own}/rotate", data={"tokenHint": old[-4:]}) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 303, 303]
    (shown,) = [answer for answer in answers if answer.status_code == 200]
    found = TOKEN.search(shown.text)
    assert found is not None
    assert shown.headers["cache-control"] == "no-store"
    assert shown.text.count("createClient(") == 1
    assert (await write(owner, found[0], connection_id, json={"id": 1})).status_code == 201
    for data in ({}, {"tokenHint": "x"}, {"tokenHint": old[-4:]}):
        again = await owner.post(f"{own}/rotate", data=data)
        assert again.headers["location"] == f"{own}?done=again"
    assert (await write(owner, found[0], connection_id, json={"id": 2})).status_code == 201


async def test_a_new_token_needs_a_fresh_sign_in(
    product: ServedProduct, owner: httpx.AsyncClient, connection_id: str, records: Records
) -> None:
    own, token = await make(owner, connection_id)
    old = await sign_in_long_ago(product, records, OWNER)
    assert read_refusal(await old.post(f"{api(own)}/rotate")) == (403, "reauth_required")
    form = {"tokenHint": token[-4:]}
    asked = await old.post(f"{own}/rotate", data=form)
    assert (asked.status_code, 'name="confirmPassword"' in asked.text) == (403, True)
    wrong = await old.post(f"{own}/rotate", data={**form, "confirmPassword": "a-wrong-one"})
    assert (wrong.status_code, "a-wrong-one" in wrong.text) == (422, False)
    assert (await write(owner, token, connection_id, json={"id": 1})).status_code == 201
    assert "has a new token" in (await old.post(f"{own}/rotate", data={**form, "confirmPassword": PASSWORD})).text
    assert (await write(owner, token, connection_id, json={"id": 2})).status_code == 401


async def test_who_may_replace_a_token(
    owner: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    product: ServedProduct,
    connection_id: str,
    app_database: str,
) -> None:
    own, token = await make(owner, connection_id)
    visitor = await product.client()

    async def call(client: httpx.AsyncClient, path: str = own, **headers: str) -> list[int]:
        answers = [
            await client.post(f"{api(path)}/rotate", headers=headers),
            await client.get(f"{path}/rotate", headers=headers),
            await client.post(f"{path}/rotate", data={"tokenHint": "x"}, headers=headers),
        ]
        return [answer.status_code for answer in answers]

    assert await call(stranger) == [404] * 3
    assert (await call(visitor))[0] == 401
    assert (await call(visitor, authorization=f"Bearer {token}"))[0] == 401
    for odd in (f"{own[:-36]}{UUID(int=1)}", f"{own[:-36]}x"):
        assert await call(owner, odd) == [404] * 3
    await add_member(app_database, connection_id, "viewer")
    assert await call(stranger) == [403] * 3
    await set_role(app_database, "editor")
    assert await call(stranger) == [403] * 3
    await owner.delete(api(own))
    assert await call(owner) == [404] * 3


async def test_a_refusal_keeps_the_limit_that_was_in_force(
    owner: httpx.AsyncClient, connection_id: str, product: ServedProduct, app_database: str
) -> None:
    own, token = await make(owner, connection_id, maxRowsPerWrite=2)
    rows = [{"id": number} for number in range(9)]
    assert read_refusal(await write(owner, token, connection_id, json=rows)) == (403, "row_limit")
    await product.registry.get(RefusalLog).flush()
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        await connection.execute("UPDATE agents SET max_rows_per_write = 7")
    page = (await owner.get(f"/c/{connection_id}/refusals")).text
    assert re.findall(r"Over the limit of (\d+) rows per write", page) == ["2"]
    assert "The write would change too many rows</a></th><td>1</td><td>1</td>" in (await owner.get(own)).text
