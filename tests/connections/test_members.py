"""Members over HTTP: who sees and changes them, and that a change holds at the next request, also in another process."""

import asyncio

import httpx
import pytest

from tests.fixtures.app import ProjectDatabase, Serve, read_refusal
from tests.fixtures.members import STRANGER, Team, find_user_id, make_team, sign_in_again
from tests.fixtures.twofactor import make_stale

UNKNOWN = "01890000-0000-7000-8000-000000000000"


async def test_members_are_listed_for_every_member(team: Team) -> None:
    for person in (team.owner, team.editor, team.viewer):
        answer = await person.get(f"{team.api}/members")
        assert answer.status_code == 200
        first, *others = answer.json()["members"]
        assert first == {
            "userId": team.ids["owner"],
            "name": "",
            "email": "owner@example.com",
            "role": "owner",
            "joinedAt": first["joinedAt"],
            "twoFactor": False,
        }
        assert [one["role"] for one in others] == ["editor", "viewer"]
    assert read_refusal(await team.stranger.get(f"{team.api}/members")) == (404, "not_found")


async def test_an_owner_changes_roles(team: Team) -> None:
    path = f"{team.api}/members/{team.ids['viewer']}"
    for _ in range(2):  # the second time changes nothing
        answer = await team.owner.patch(path, json={"role": "editor"})
        assert (answer.status_code, answer.json()["role"]) == (200, "editor")
    assert (await team.viewer.get(team.api)).json()["member"] == "editor"
    assert await team.list_events(team.owner) == ["Changed a member's role as editor: “Shop”"]
    assert await team.list_events(team.viewer) == ["An owner changed your role as editor: “Shop”"]


@pytest.mark.parametrize(
    "body", [{}, {"role": "owner"}, {"role": "admin"}, {"role": None}, {"role": 1}, {"role": ["editor"]}]
)
async def test_a_role_that_cannot_be_given_is_refused(team: Team, body: object) -> None:
    answer = await team.owner.patch(f"{team.api}/members/{team.ids['viewer']}", json=body)
    assert read_refusal(answer) == (422, "validation_failed")


async def test_only_an_owner_changes_and_removes_others(team: Team) -> None:
    path = f"{team.api}/members/{team.ids['owner']}"
    for person in (team.editor, team.viewer):
        assert read_refusal(await person.patch(path, json={"role": "viewer"})) == (403, "forbidden")
        assert read_refusal(await person.delete(path)) == (403, "forbidden")
        assert read_refusal(await person.post(f"{team.api}/owner", json={"userId": team.ids["editor"]})) == (
            403,
            "forbidden",
        )
    assert read_refusal(await team.stranger.delete(path)) == (404, "not_found")
    assert await team.list_roles() == {
        "owner@example.com": "owner",
        "editor@example.com": "editor",
        "viewer@example.com": "viewer",
    }


@pytest.mark.parametrize("name", ["x", UNKNOWN, "' OR 1=1", "%00"])
async def test_the_id_of_no_member_is_unknown(team: Team, name: str) -> None:
    path = f"{team.api}/members/{name}"
    assert read_refusal(await team.owner.patch(path, json={"role": "viewer"})) == (404, "not_found")
    assert read_refusal(await team.owner.delete(path)) == (404, "not_found")
    assert read_refusal(await team.owner.post(f"{team.api}/owner", json={"userId": name})) == (404, "not_found")


async def test_a_stranger_is_no_member_although_they_have_an_account(team: Team) -> None:
    stranger = await find_user_id(team.stranger)
    path = f"{team.api}/members/{stranger}"
    assert read_refusal(await team.owner.patch(path, json={"role": "viewer"})) == (404, "not_found")
    assert read_refusal(await team.owner.post(f"{team.api}/owner", json={"userId": stranger})) == (404, "not_found")


async def test_a_removed_member_has_no_access_at_the_next_request(team: Team) -> None:
    rows = f"/api/v/{team.connection_id}/rest/v1/notes"
    assert (await team.editor.get(rows)).status_code == 200
    assert (await team.owner.delete(f"{team.api}/members/{team.ids['editor']}")).status_code == 204
    for path in (rows, team.api, f"{team.api}/sessions", team.page):
        assert (await team.editor.get(path)).status_code == 404
    assert read_refusal(await team.owner.delete(f"{team.api}/members/{team.ids['editor']}")) == (404, "not_found")
    assert await team.list_events(team.editor) == ["An owner removed you from a connection: “Shop”"]


async def test_everyone_but_the_last_owner_can_leave(team: Team) -> None:
    assert (await team.viewer.delete(f"{team.api}/members/{team.ids['viewer']}")).status_code == 204
    assert (await team.viewer.get(team.api)).status_code == 404
    assert await team.list_events(team.viewer) == ["Left a connection: “Shop”"]
    own = f"{team.api}/members/{team.ids['owner']}"
    assert read_refusal(await team.owner.delete(own)) == (409, "last_owner")
    assert read_refusal(await team.owner.patch(own, json={"role": "viewer"})) == (409, "last_owner")
    assert (await team.owner.get(team.api)).json()["member"] == "owner"


async def test_the_ownership_is_transferred(team: Team) -> None:
    answer = await team.owner.post(f"{team.api}/owner", json={"userId": team.ids["viewer"]})
    assert (answer.status_code, answer.json()["role"]) == (200, "owner")
    assert await team.list_roles() == {
        "viewer@example.com": "owner",
        "editor@example.com": "editor",
        "owner@example.com": "editor",
    }
    assert read_refusal(await team.owner.delete(team.api)) == (403, "forbidden")
    assert (await team.owner.delete(f"{team.api}/members/{team.ids['owner']}")).status_code == 204
    assert await team.list_events(team.viewer) == ["Became the owner of a connection: “Shop”"]


async def test_the_owner_cannot_transfer_to_themselves(team: Team) -> None:
    answer = await team.owner.post(f"{team.api}/owner", json={"userId": team.ids["owner"]})
    assert read_refusal(answer) == (422, "validation_failed")
    assert (await team.owner.get(team.api)).json()["member"] == "owner"


async def test_transferring_needs_a_recent_sign_in(team: Team) -> None:
    await make_stale(team.product.settings.database_url.reveal())
    stale = await sign_in_again(team.product, "owner@example.com")
    await make_stale(team.product.settings.database_url.reveal())
    answer = await stale.post(f"{team.api}/owner", json={"userId": team.ids["editor"]})
    assert read_refusal(answer) == (403, "reauth_required")


async def test_of_two_transfers_at_once_one_is_made(team: Team) -> None:
    bodies = [{"userId": team.ids[role]} for role in ("editor", "viewer")]
    answers = await asyncio.gather(*(team.owner.post(f"{team.api}/owner", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 403]
    rows = await team.sql("SELECT role FROM connection_members ORDER BY role")
    assert [role for (role,) in rows].count("owner") == 1


async def test_of_two_owners_who_leave_at_once_one_stays(team: Team) -> None:
    await team.sql(f"UPDATE connection_members SET role = 'owner' WHERE user_id = '{team.ids['editor']}'")
    people = {"owner": team.owner, "editor": team.editor}
    removals = (person.delete(f"{team.api}/members/{team.ids[role]}") for role, person in people.items())
    answers = await asyncio.gather(*removals)
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    assert await team.sql("SELECT count(*) FROM connection_members WHERE role = 'owner'") == [(1,)]


async def test_a_change_holds_at_the_next_request_of_another_process(serve: Serve, project: ProjectDatabase) -> None:
    """Roles are cached by each process for the data API; the change is announced to all."""
    product, other = await serve(), await serve()
    team = await make_team(product, project)
    elsewhere = await sign_in_again(other, "editor@example.com")
    rows = f"/api/v/{team.connection_id}/rest/v1/notes"
    headers = {"prefer": "return=minimal"}
    assert (await elsewhere.post(rows, json={"id": 1, "body": "a"}, headers=headers)).status_code == 201
    path = f"{team.api}/members/{team.ids['editor']}"
    assert (await team.owner.patch(path, json={"role": "viewer"})).status_code == 200
    await other.settled()
    assert read_refusal(await elsewhere.post(rows, json={"id": 2, "body": "b"}, headers=headers)) == (403, "read_only")
    assert (await elsewhere.get(rows)).status_code == 200
    assert (await team.owner.delete(path)).status_code == 204
    await other.settled()
    assert (await elsewhere.get(rows)).status_code == 404


async def test_a_stream_in_another_process_ends_with_the_membership(serve: Serve, project: ProjectDatabase) -> None:
    product, other = await serve(), await serve()
    team = await make_team(product, project)
    elsewhere = await sign_in_again(other, "viewer@example.com")
    async with elsewhere.stream("GET", f"{team.api}/events") as stream:
        pieces = stream.aiter_bytes()
        assert await anext(pieces)
        path = f"{team.api}/members/{team.ids['viewer']}"
        assert (await team.owner.patch(path, json={"role": "editor"})).status_code == 200  # it may still read
        assert (await team.owner.delete(path)).status_code == 204
        async with asyncio.timeout(10):
            assert b"event:" not in b"".join([piece async for piece in pieces])
    assert (await elsewhere.get(f"{team.api}/events")).status_code == 404


async def test_another_persons_invitations_and_members_stay_unknown(team: Team) -> None:
    for method, path in (
        ("GET", "/members/invitations"),
        ("POST", "/members/invitations"),
        ("POST", f"/members/invitations/{UNKNOWN}/resend"),
        ("DELETE", f"/members/invitations/{UNKNOWN}"),
    ):
        body = {"email": STRANGER, "role": "viewer"} if method == "POST" else None
        assert await request(team.stranger, method, team.api + path, body) == (404, "not_found")
        for person in (team.editor, team.viewer):
            assert await request(person, method, team.api + path, body) == (403, "forbidden")


async def request(client: httpx.AsyncClient, method: str, path: str, body: object) -> tuple[int, str]:
    return read_refusal(await client.request(method, path, json=body))
