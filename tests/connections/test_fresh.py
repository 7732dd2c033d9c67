"""What a stolen cookie must not do to a connection: send its requests elsewhere, or delete it with its journal."""

import re
from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.fixtures.app import PASSWORD, ProjectDatabase, ServedProduct, read_refusal
from tests.flows.records import Records
from tests.flows.test_reauth import ANNA, BOB, reauth, sign_in_long_ago, sign_up_long_ago


@pytest.fixture
async def records(app_database: str) -> AsyncIterator[Records]:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as connection:
        yield Records(connection)


@pytest.fixture
async def shop(product: ServedProduct, project: ProjectDatabase) -> str:
    anna = await product.sign_up(ANNA)
    body = {"name": "Shop", "postgresUrl": project.dsn, "environment": "production"}
    return str((await anna.post("/api/connections", json=body)).json()["id"])


@pytest.fixture
async def old(product: ServedProduct, records: Records, shop: str) -> httpx.AsyncClient:
    """Its owner, whose sign-in is older than ten minutes."""
    return await sign_in_long_ago(product, records, ANNA)


async def test_access_changes_and_deletion_need_a_fresh_sign_in(
    product: ServedProduct, records: Records, project: ProjectDatabase, shop: str, old: httpx.AsyncClient
) -> None:
    path = f"/api/connections/{shop}"
    changes = ({"postgresUrl": project.dsn}, {"url": "https://a.supabase.co", "key": "k" * 40}, {"dbRole": None})
    for change in changes:
        assert read_refusal(await old.patch(path, json=change)) == (403, "reauth_required"), change
    assert read_refusal(await old.delete(path)) == (403, "reauth_required")
    assert (await old.patch(path, json={"name": "Renamed"})).json()["name"] == "Renamed"
    bob = await sign_up_long_ago(product, records, BOB)
    assert read_refusal(await bob.delete(path)) == (404, "not_found")

    assert (await reauth(old)).status_code == 200
    assert (await old.patch(path, json={"postgresUrl": project.dsn})).status_code == 200
    assert (await old.delete(path)).status_code == 204


async def test_the_settings_ask_within_the_card_and_keep_what_was_typed(
    project: ProjectDatabase, shop: str, old: httpx.AsyncClient
) -> None:
    path = f"/c/{shop}/settings"
    for card in ("postgres", "project", "role", "delete"):
        assert f'id="confirmPassword-{card}" name="confirmPassword"' in (await old.get(path)).text
    form = {"postgresUrl": project.dsn, "url": "https://typed.example.com"}
    stale = await old.post(f"{path}/postgres", data=form)
    assert stale.status_code == 403
    assert project.dsn not in stale.text
    kept = re.search(r'name="postgresUrlKept" value="([^"]+)"', stale.text)
    assert kept is not None
    again = {"postgresUrl": "", "postgresUrlKept": kept[1]}
    wrong = await old.post(f"{path}/postgres", data={**again, "confirmPassword": "a wrong guess"})
    assert wrong.status_code == 422
    assert "The password is wrong." in wrong.text
    assert "a wrong guess" not in wrong.text
    right = await old.post(f"{path}/postgres", data={**again, "confirmPassword": PASSWORD})
    assert right.headers["location"] == f"{path}?done=postgres#postgres"
    assert "confirmPassword" not in (await old.get(path)).text


async def test_a_new_name_is_saved_without_asking(shop: str, old: httpx.AsyncClient) -> None:
    form = {"name": "Only a name", "environment": "production"}
    assert (await old.post(f"/c/{shop}/settings/general", data=form)).status_code == 303


async def test_deleting_on_the_page_leads_through_confirming(shop: str, old: httpx.AsyncClient) -> None:
    path = f"/c/{shop}/delete"
    assert 'name="confirmPassword"' in (await old.get(path)).text
    for form, status, words in (
        ({"confirm": "Shop"}, 403, "Nothing was changed"),
        ({"confirm": "Shop", "confirmPassword": "a wrong guess"}, 422, "The password is wrong."),
        ({"confirm": "Stop", "confirmPassword": PASSWORD}, 422, "This is not the connection&#39;s name."),
    ):
        refused = await old.post(path, data=form)
        assert refused.status_code == status
        assert words in refused.text
    assert (await old.get(f"/api/connections/{shop}")).status_code == 200
    deleted = await old.post(path, data={"confirm": "Shop", "confirmPassword": PASSWORD})
    assert deleted.headers["location"] == "/connections?done=deleted"
    assert (await old.get("/connections")).status_code == 200  # with the cookie of the renewed session
