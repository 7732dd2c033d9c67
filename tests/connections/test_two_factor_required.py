"""Connections that require two-factor authentication of their members."""

import asyncio
from collections.abc import Awaitable

import httpx
import pytest

from tests.fixtures.app import PASSWORD, ProjectDatabase, Serve, ServedProduct, read_refusal
from tests.fixtures.html_forms import read_forms
from tests.fixtures.members import Team, make_team, sign_in_again
from tests.fixtures.twofactor import StepClock, make_stale, turn_on

REQUIRED = (403, "two_factor_required")


@pytest.fixture
async def strict(timed: ServedProduct, clock: StepClock, project: ProjectDatabase) -> Team:
    """The owner and the editor have it on, and it is required."""
    team = await make_team(timed, project)
    await turn_on(team.owner, "owner@example.com", clock)
    await turn_on(team.editor, "editor@example.com", clock)
    answer = await team.owner.put(f"{team.api}/two-factor", json={"required": True})
    assert (answer.status_code, answer.json()) == (200, {"required": True})
    return team


def list_apis(team: Team) -> list[str]:
    paths = ("", "/members", "/agents", "/sessions", "/events", "/health", "/refusals")
    return [*(f"{team.api}{path}" for path in paths), f"/api/v/{team.connection_id}/rest/v1/notes"]


async def test_a_member_without_it_reaches_nothing(strict: Team) -> None:
    for path in list_apis(strict):
        assert read_refusal(await strict.viewer.get(path)) == REQUIRED, path
    assert read_refusal(await strict.viewer.get(f"/api/v/{strict.connection_id}/introspect")) == REQUIRED
    for person in (strict.owner, strict.editor):
        assert (await person.get(strict.api)).json()["requiresTwoFactor"] is True
        assert (await person.get(f"/api/v/{strict.connection_id}/rest/v1/notes")).status_code == 200
    assert read_refusal(await strict.stranger.get(strict.api)) == (404, "not_found")


async def test_every_page_leads_to_the_one_that_says_why(strict: Team) -> None:
    home, needed = f"/c/{strict.connection_id}", f"/c/{strict.connection_id}/two-factor"
    for path in ("", "/data", "/sessions", "/agents", "/members", "/data/public.notes"):
        answer = await strict.viewer.get(home + path)
        assert (answer.status_code, answer.headers["location"]) == (303, needed), path
    page = await strict.viewer.get(needed)
    assert page.status_code == 200
    assert "requires two-factor authentication" in page.text
    assert 'href="/settings/account/2fa"' in page.text
    assert f'href="{home}/data"' not in page.text
    assert (await strict.editor.get(needed)).headers["location"] == home
    assert (await strict.stranger.get(needed)).status_code == 404
    listed = (await strict.viewer.get("/connections")).text
    assert "Shop" in listed
    assert "two-factor required" in listed
    assert "two-factor required" not in (await strict.editor.get("/connections")).text


async def test_the_palette_and_other_pages_show_nothing_of_it(strict: Team) -> None:
    found = await strict.viewer.get("/palette", params={"q": "sessions", "in": strict.connection_id})
    assert f"/c/{strict.connection_id}/sessions" not in found.text
    account = await strict.viewer.get("/settings/account")
    assert f"/c/{strict.connection_id}/sessions" not in account.text
    export = (await strict.viewer.get("/api/account/export")).json()
    assert export["journalSessions"] == []


async def test_it_opens_as_soon_as_the_member_has_it_on(strict: Team, clock: StepClock) -> None:
    assert read_refusal(await strict.viewer.get(strict.api)) == REQUIRED
    await turn_on(strict.viewer, "viewer@example.com", clock)
    for path in list_apis(strict):
        if not path.endswith("/events"):
            assert (await strict.viewer.get(path)).status_code == 200, path
    answer = await strict.viewer.post("/api/account/2fa/disable", json={"password": PASSWORD})
    assert answer.status_code == 200
    assert read_refusal(await strict.viewer.get(strict.api)) == REQUIRED


async def test_agents_are_not_affected(strict: Team) -> None:
    made = await strict.owner.post(f"{strict.api}/agents", json={"name": "Robot", "access": "read"})
    path = f"/api/v/{strict.connection_id}/rest/v1/notes"
    agent = await strict.product.client()
    assert (await agent.get(path, headers={"apikey": made.json()["token"]})).status_code == 200


async def test_the_owner_must_have_it_on_and_have_signed_in_recently(team: Team) -> None:
    answer = await team.owner.put(f"{team.api}/two-factor", json={"required": True})
    assert read_refusal(answer) == (409, "two_factor_off")
    for person in (team.editor, team.viewer):
        refused = await person.put(f"{team.api}/two-factor", json={"required": True})
        assert read_refusal(refused) == (403, "forbidden")
    assert read_refusal(await team.stranger.put(f"{team.api}/two-factor", json={"required": True})) == (
        404,
        "not_found",
    )
    for body in ({}, {"required": "perhaps"}, {"required": None}, {"required": True, "for": "me"}):
        refused = await team.owner.put(f"{team.api}/two-factor", json=body)
        assert read_refusal(refused) == (422, "validation_failed")
    await make_stale(team.product.settings.database_url.reveal())
    stale = await sign_in_again(team.product, "owner@example.com")
    await make_stale(team.product.settings.database_url.reveal())
    assert read_refusal(await stale.put(f"{team.api}/two-factor", json={"required": True})) == (403, "reauth_required")
    assert (await team.viewer.get(team.api)).status_code == 200


async def test_requiring_it_twice_is_one_change(strict: Team) -> None:
    assert (await strict.owner.put(f"{strict.api}/two-factor", json={"required": True})).status_code == 200
    assert (await strict.owner.put(f"{strict.api}/two-factor", json={"required": False})).status_code == 200
    assert (await strict.viewer.get(strict.api)).status_code == 200
    assert await strict.list_events(strict.owner) == [
        "Required two-factor authentication for a connection: “Shop”",
        "Stopped requiring two-factor authentication for a connection: “Shop”",
    ]


async def test_it_is_changed_on_its_page_which_names_who_is_locked_out(strict: Team) -> None:
    path = f"{strict.page}/two-factor"
    assert 'href="/c/' in (await strict.owner.get(f"/c/{strict.connection_id}/settings")).text
    for shown, done in (("Stop requiring it", "two-factor-off"), ("viewer@example.com", "two-factor-on")):
        page = await strict.owner.get(path)
        assert shown in page.text
        (form,) = [one for one in read_forms(page) if one.action == path]
        answer = await form.submit(strict.owner, page)
        assert answer.headers["location"] == f"{strict.page}?done={done}"
    assert read_refusal(await strict.viewer.get(strict.api)) == REQUIRED


async def test_an_open_stream_ends_when_it_is_required_or_turned_off(
    serve: Serve, clock: StepClock, project: ProjectDatabase
) -> None:
    """In another process than the one where it changes."""
    product, other = await serve(clock=clock), await serve(clock=clock)
    team = await make_team(product, project)
    await turn_on(team.owner, "owner@example.com", clock)
    elsewhere = await sign_in_again(other, "viewer@example.com")
    async with elsewhere.stream("GET", f"{team.api}/events") as stream:
        await wait_for_end(stream, team.owner.put(f"{team.api}/two-factor", json={"required": True}))
    assert read_refusal(await elsewhere.get(team.api)) == REQUIRED
    await turn_on(team.editor, "editor@example.com", clock)
    async with team.editor.stream("GET", f"{team.api}/events") as stream:
        disable = team.editor.post("/api/account/2fa/disable", json={"password": PASSWORD})
        await wait_for_end(stream, disable)
    assert read_refusal(await team.editor.get(team.api)) == REQUIRED


async def wait_for_end(stream: httpx.Response, change: Awaitable[httpx.Response]) -> None:
    """Makes the change once the stream is open, and waits until the stream ends without an event."""
    pieces = stream.aiter_bytes()
    assert await anext(pieces)
    assert (await change).status_code == 200
    async with asyncio.timeout(10):
        assert b"event:" not in b"".join([piece async for piece in pieces])
