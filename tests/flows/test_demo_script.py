"""The demo's script, run by the official Supabase client against a served product, and verified by digests."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from basewarden.demo import DemoData, ScriptError, prepare_demo_data, run_script
from basewarden.demo.data import STATE_FILE
from tests.demo.test_shop import PASSWORD
from tests.fixtures.app import ServedProduct
from tests.fixtures.postgres import PostgresServer


@pytest.fixture
async def data(product: ServedProduct, postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[DemoData]:
    """The owner's role is the whole server's, so its password stays the one that the other tests use."""
    saved = {"password": "demo of the script", "shop_password": PASSWORD.reveal()}
    (tmp_path / STATE_FILE).write_text(json.dumps(saved))
    data = await prepare_demo_data(product.settings.origin, postgres.embedded.dsn("postgres"), tmp_path, lambda _: None)
    yield data
    await data.person.aclose()
    await postgres.embedded.drop_database("shop")


async def test_the_script_runs_twice_with_the_same_result(data: DemoData) -> None:
    for _ in range(2):
        transcript: list[str] = []
        await run_script(data, transcript.append)
        text = "\n".join(transcript)
        assert "2 conflicts" in text
        assert "addresses_customer_id_fkey on delete" in text
        assert transcript[-1].startswith("Everything is as before the agent's session")


async def test_a_revoked_agent_stops_the_script(data: DemoData) -> None:
    path = f"/api/connections/{data.connection_id}/agents"
    for agent in (await data.person.get(path)).json()["agents"]:
        assert (await data.person.delete(f"{path}/{agent['id']}")).status_code == 204
    with pytest.raises(ScriptError, match="stopped early"):
        await run_script(data, lambda _: None)


async def test_the_demo_is_prepared_only_once(data: DemoData, postgres: PostgresServer, tmp_path: Path) -> None:
    again = await prepare_demo_data(data.origin, postgres.embedded.dsn("postgres"), tmp_path, lambda _: None)
    assert again.connection_id == data.connection_id
    assert again.agent_token == data.agent_token
    await again.person.aclose()
