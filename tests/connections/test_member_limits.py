"""How many members a connection may have under the plan of its owner."""

import asyncio

import httpx
import pytest

from tests.fakes.dodo import Selling
from tests.fixtures.app import ProjectDatabase, read_refusal
from tests.fixtures.members import STRANGER, Team, make_team, read_token

LIMIT = (402, "plan_limit")


@pytest.fixture
async def paying(selling: Selling, project: ProjectDatabase) -> Team:
    """On a deployment with billing; every account has the free plan."""
    return await make_team(selling.product, project)


async def grant(team: Team, role: str, plan: str = "hosted") -> None:
    await team.sql(
        "INSERT INTO billing_grants (id, user_id, plan, until)"
        f" VALUES (gen_random_uuid(), '{team.ids[role]}', '{plan}', now() + interval '1 day')"
    )


async def fill(team: Team, people: int) -> None:
    """Adds so many members."""
    await team.sql(
        "INSERT INTO users (id, email, email_key) SELECT gen_random_uuid(), 'n' || n || '@x.example', 'n' || n || '@x.example'"
        f" FROM generate_series(1, {people}) AS n"
    )
    await team.sql(
        "INSERT INTO connection_members (connection_id, user_id, role)"
        f" SELECT '{team.connection_id}', id, 'viewer' FROM users WHERE email LIKE '%@x.example'"
    )


async def invite(team: Team, email: str = STRANGER) -> httpx.Response:
    return await team.owner.post(f"{team.api}/members/invitations", json={"email": email, "role": "viewer"})


async def test_the_free_plan_is_for_its_owner_alone(paying: Team) -> None:
    answer = await invite(paying)
    assert read_refusal(answer) == LIMIT
    assert answer.json()["details"] == {"limit": 1, "plan": "free"}
    assert "one member, its owner" in answer.json()["message"]
    page = await paying.owner.post(f"{paying.page}/invitations", data={"email": STRANGER, "role": "viewer"})
    assert (page.status_code, "one member, its owner" in page.text) == (402, True)
    assert (await paying.viewer.get(paying.api)).status_code == 200  # members that there are keep their access


async def test_open_invitations_count_as_members(paying: Team) -> None:
    await grant(paying, "owner")
    await fill(paying, 16)
    assert (await invite(paying)).status_code == 201
    assert (await invite(paying)).status_code == 201  # the same address again
    assert read_refusal(await invite(paying, "one-more@example.com")) == LIMIT
    await paying.sql("UPDATE connection_invitations SET expires_at = now()")
    assert (await invite(paying, "one-more@example.com")).status_code == 201


async def test_of_many_invitations_at_once_as_many_are_sent_as_there_is_room(paying: Team) -> None:
    await grant(paying, "owner")
    await fill(paying, 15)
    answers = await asyncio.gather(*(invite(paying, f"guest{number}@example.com") for number in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [402] * 4


async def test_accepting_needs_room_too(paying: Team) -> None:
    await grant(paying, "owner")
    token = read_token((await invite(paying)).json()["acceptUrl"])
    await paying.sql("UPDATE billing_grants SET until = now() - interval '1 day'")
    answer = await paying.stranger.post(f"/api/invitations/{token}/accept")
    assert read_refusal(answer) == LIMIT
    assert "its owner's plan" in answer.json()["message"]
    page = await paying.stranger.post(f"/invitations/{token}")
    assert (page.status_code, "owner&#39;s plan" in page.text) == (402, True)
    await grant(paying, "owner", "team")
    assert (await paying.stranger.post(f"/api/invitations/{token}/accept")).status_code == 200


async def test_a_new_owner_needs_room_for_the_connection(paying: Team, project: ProjectDatabase) -> None:
    for number in range(3):
        body = {"name": f"Own {number}", "postgresUrl": project.dsn}
        assert (await paying.editor.post("/api/connections", json=body)).status_code == 201
    answer = await paying.owner.post(f"{paying.api}/owner", json={"userId": paying.ids["editor"]})
    assert read_refusal(answer) == LIMIT
    assert "editor@example.com" in answer.json()["message"]
    await grant(paying, "editor")
    assert (await paying.owner.post(f"{paying.api}/owner", json={"userId": paying.ids["editor"]})).status_code == 200
