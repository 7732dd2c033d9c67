"""The demo's story, told by the official Supabase client against a served product, and proved by digests."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from basewarden.demo import Stage, StoryError, set_stage, tell_story
from basewarden.demo.stage import KEPT_FILE
from tests.demo.test_shop import PASSWORD
from tests.fixtures.app import ServedProduct
from tests.fixtures.postgres import PostgresServer


@pytest.fixture
async def stage(product: ServedProduct, postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Stage]:
    """The owner's role is the whole server's, so its password stays the one that the other tests use."""
    kept = {"password": "demo of the story", "shop_password": PASSWORD.reveal()}
    (tmp_path / KEPT_FILE).write_text(json.dumps(kept))
    stage = await set_stage(product.settings.origin, postgres.embedded.dsn("postgres"), tmp_path, lambda _: None)
    yield stage
    await stage.person.aclose()
    await postgres.embedded.drop_database("shop")


async def test_the_story_is_told_twice_and_proved(stage: Stage) -> None:
    for _ in range(2):
        transcript: list[str] = []
        await tell_story(stage, transcript.append)
        told = "\n".join(transcript)
        assert "2 conflicts" in told
        assert "addresses_customer_id_fkey on delete" in told
        assert transcript[-1].startswith("Everything is as it was")


async def test_a_revoked_agent_ends_the_story_early(stage: Stage) -> None:
    path = f"/api/connections/{stage.connection_id}/agents"
    for agent in (await stage.person.get(path)).json()["agents"]:
        assert (await stage.person.delete(f"{path}/{agent['id']}")).status_code == 204
    with pytest.raises(StoryError, match="cut off"):
        await tell_story(stage, lambda _: None)


async def test_the_stage_is_set_only_once(stage: Stage, postgres: PostgresServer, tmp_path: Path) -> None:
    again = await set_stage(stage.origin, postgres.embedded.dsn("postgres"), tmp_path, lambda _: None)
    assert again.connection_id == stage.connection_id
    assert again.agent_token == stage.agent_token
    await again.person.aclose()
