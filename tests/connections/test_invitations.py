"""Invitations over HTTP, without mail: sent, accepted once by the invited address, replaced, revoked, expired, limited."""

import asyncio

import pytest

from basewarden.connections.wiring import PRUNERS
from basewarden.db import Database
from tests.fixtures.app import ProjectDatabase, read_refusal
from tests.fixtures.members import STRANGER, Team, read_token

NEWCOMER = "New.Comer@example.com"


def accept_path(token: str) -> str:
    return f"/api/invitations/{token}/accept"


async def test_an_invitation_is_accepted(team: Team) -> None:
    sent = await team.invite(STRANGER, "editor")
    assert sent == {
        "id": sent["id"],
        "email": STRANGER,
        "role": "editor",
        "expiresAt": sent["expiresAt"],
        "acceptUrl": sent["acceptUrl"],
    }
    listed = (await team.owner.get(f"{team.api}/members/invitations")).json()["invitations"]
    assert [(one["email"], one["status"], one["invitedBy"]) for one in listed] == [
        (STRANGER, "waiting", "owner@example.com")
    ]
    assert "acceptUrl" not in listed[0]
    token = read_token(sent["acceptUrl"])
    answer = await team.stranger.post(accept_path(token))
    assert (answer.status_code, answer.json()) == (200, {"connectionId": team.connection_id, "role": "editor"})
    assert (await team.stranger.get(team.api)).json()["member"] == "editor"
    assert (await team.owner.get(f"{team.api}/members/invitations")).json() == {"invitations": []}
    assert read_refusal(await team.stranger.post(accept_path(token))) == (409, "invitation_used")
    assert await team.list_events(team.owner) == ["Invited a member as editor: “Shop”"]
    assert await team.list_events(team.stranger) == ["Accepted an invitation as editor: “Shop”"]


async def test_only_a_hash_of_the_token_is_stored(team: Team) -> None:
    token = read_token((await team.invite(STRANGER))["acceptUrl"])
    ((row,),) = await team.sql("SELECT connection_invitations::text FROM connection_invitations")
    assert token not in row
    assert await team.sql("SELECT count(*) FROM procrastinate_jobs WHERE task_name LIKE 'mail%'") == [(0,)]


async def test_the_answer_is_the_same_for_an_address_without_an_account(team: Team) -> None:
    known, unknown = await team.invite(STRANGER), await team.invite("no-account@example.com")
    assert known.keys() == unknown.keys()
    assert len(known["acceptUrl"]) == len(unknown["acceptUrl"])


async def test_the_address_must_match(team: Team) -> None:
    token = read_token((await team.invite(NEWCOMER))["acceptUrl"])
    assert read_refusal(await team.stranger.post(accept_path(token))) == (403, "other_address")
    assert read_refusal(await team.viewer.post(accept_path(token))) == (403, "other_address")
    invited = await team.product.sign_up(NEWCOMER.lower())
    assert (await invited.post(accept_path(token))).status_code == 200


async def test_accepting_needs_an_account_and_a_real_token(team: Team) -> None:
    token = read_token((await team.invite(STRANGER))["acceptUrl"])
    signed_out = await team.product.client()
    assert read_refusal(await signed_out.post(accept_path(token))) == (401, "unauthenticated")
    for wrong in ("x", token[:-1], token + "A", "%E2%82%AC", "a" * 5000):
        assert read_refusal(await team.stranger.post(accept_path(wrong))) == (404, "not_found")
    assert (await team.stranger.post(accept_path(token))).status_code == 200


async def test_sending_it_again_ends_the_earlier_link(team: Team) -> None:
    first = await team.invite(STRANGER)
    answer = await team.owner.post(f"{team.api}/members/invitations/{first['id']}/resend")
    assert answer.status_code == 200
    again = answer.json()
    assert (again["id"], again["email"], again["role"]) == (first["id"], STRANGER, "viewer")
    assert read_refusal(await team.stranger.post(accept_path(read_token(first["acceptUrl"])))) == (404, "not_found")
    assert (await team.stranger.post(accept_path(read_token(again["acceptUrl"])))).status_code == 200


async def test_inviting_again_replaces_the_waiting_invitation(team: Team) -> None:
    first = await team.invite(STRANGER, "viewer")
    second = await team.invite(STRANGER.upper(), "editor")
    assert second["id"] == first["id"]
    listed = (await team.owner.get(f"{team.api}/members/invitations")).json()["invitations"]
    assert [one["role"] for one in listed] == ["editor"]
    assert read_refusal(await team.stranger.post(accept_path(read_token(first["acceptUrl"])))) == (404, "not_found")
    assert (await team.stranger.post(accept_path(read_token(second["acceptUrl"])))).json()["role"] == "editor"


async def test_a_member_cannot_be_invited(team: Team) -> None:
    body = {"email": "Viewer@example.com", "role": "editor"}
    answer = await team.owner.post(f"{team.api}/members/invitations", json=body)
    assert read_refusal(answer) == (409, "already_member")
    assert (await team.viewer.get(team.api)).json()["member"] == "viewer"


async def test_a_revoked_invitation_is_unknown(team: Team) -> None:
    sent = await team.invite(STRANGER)
    path = f"{team.api}/members/invitations/{sent['id']}"
    assert (await team.owner.delete(path)).status_code == 204
    assert read_refusal(await team.owner.delete(path)) == (404, "not_found")
    assert read_refusal(await team.owner.post(f"{path}/resend")) == (404, "not_found")
    assert read_refusal(await team.stranger.post(accept_path(read_token(sent["acceptUrl"])))) == (404, "not_found")


async def test_an_accepted_invitation_can_no_longer_be_revoked_or_sent(team: Team) -> None:
    sent = await team.invite(STRANGER)
    assert (await team.stranger.post(accept_path(read_token(sent["acceptUrl"])))).status_code == 200
    path = f"{team.api}/members/invitations/{sent['id']}"
    assert read_refusal(await team.owner.delete(path)) == (404, "not_found")
    assert read_refusal(await team.owner.post(f"{path}/resend")) == (404, "not_found")


async def test_an_expired_invitation_is_gone_until_it_is_sent_again(team: Team) -> None:
    sent = await team.invite(STRANGER)
    await team.sql("UPDATE connection_invitations SET expires_at = now() - interval '1 second'")
    token = read_token(sent["acceptUrl"])
    assert read_refusal(await team.stranger.post(accept_path(token))) == (410, "invitation_expired")
    listed = (await team.owner.get(f"{team.api}/members/invitations")).json()["invitations"]
    assert [one["status"] for one in listed] == ["expired"]
    again = (await team.owner.post(f"{team.api}/members/invitations/{sent['id']}/resend")).json()
    assert (await team.stranger.post(accept_path(read_token(again["acceptUrl"])))).status_code == 200


async def test_an_invitation_of_another_connection_is_unknown(team: Team, project: ProjectDatabase) -> None:
    sent = await team.invite(STRANGER)
    other = await team.stranger.post("/api/connections", json={"name": "Mine", "postgresUrl": project.dsn})
    path = f"/api/connections/{other.json()['id']}/members/invitations/{sent['id']}"
    assert read_refusal(await team.stranger.delete(path)) == (404, "not_found")
    assert read_refusal(await team.stranger.post(f"{path}/resend")) == (404, "not_found")


async def test_of_many_acceptances_at_once_one_is_made(team: Team) -> None:
    token = read_token((await team.invite(STRANGER))["acceptUrl"])
    answers = await asyncio.gather(*(team.stranger.post(accept_path(token)) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7


async def test_revoking_and_accepting_at_once_have_one_outcome(team: Team) -> None:
    sent = await team.invite(STRANGER)
    revoked, accepted = await asyncio.gather(
        team.owner.delete(f"{team.api}/members/invitations/{sent['id']}"),
        team.stranger.post(accept_path(read_token(sent["acceptUrl"]))),
    )
    is_member = (await team.stranger.get(team.api)).status_code == 200
    assert is_member == accepted.is_success
    assert revoked.is_success != accepted.is_success


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": STRANGER},
        {"email": STRANGER, "role": "owner"},
        {"email": "nowhere", "role": "viewer"},
        {"email": f"{'a' * 400}@example.com", "role": "viewer"},
        {"email": "a@example.com\r\nBcc: b@example.com", "role": "viewer"},
        {"email": "a\x00@example.com", "role": "viewer"},
        {"email": "a@example.com, b@example.com", "role": "viewer"},
        {"email": ["a@example.com"], "role": "viewer"},
        {"email": STRANGER, "role": "viewer", "name": "x"},
    ],
)
async def test_a_body_that_does_not_fit_is_refused(team: Team, body: object) -> None:
    answer = await team.owner.post(f"{team.api}/members/invitations", json=body)
    assert read_refusal(answer) == (422, "validation_failed")
    assert await team.sql("SELECT count(*) FROM connection_invitations") == [(0,)]


async def test_one_person_sends_only_so_many_in_an_hour(team: Team) -> None:
    for number in range(30):
        await team.invite(f"person{number}@example.com")
    body = {"email": "one-more@example.com", "role": "viewer"}
    answer = await team.owner.post(f"{team.api}/members/invitations", json=body)
    assert read_refusal(answer) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) > 3000


async def test_a_connection_has_only_so_many_people(team: Team) -> None:
    await team.sql(
        "INSERT INTO connection_invitations (id, connection_id, email, email_key, role, token_hash, invited_by, expires_at)"
        " SELECT gen_random_uuid(), connection_id, n || '@x.example', n || '@x.example', 'viewer',"
        " decode(md5(n::text), 'hex'), user_id, now() FROM connection_members, generate_series(1, 197) AS n"
        " WHERE role = 'owner'"
    )
    body = {"email": STRANGER, "role": "viewer"}
    assert read_refusal(await team.owner.post(f"{team.api}/members/invitations", json=body)) == (
        409,
        "too_many_members",
    )
    replaced = {"email": "7@x.example", "role": "viewer"}
    assert (await team.owner.post(f"{team.api}/members/invitations", json=replaced)).status_code == 201


async def test_invitations_end_with_their_connection_and_after_a_month(team: Team) -> None:
    await team.invite(STRANGER)
    await team.invite("old@example.com")
    await team.sql("UPDATE connection_invitations SET expires_at = now() - interval '31 days' WHERE email LIKE 'old%'")
    (pruner,) = PRUNERS
    assert await pruner.prune(team.product.registry.get(Database), pruner.keep, 10) == 1
    assert await team.sql("SELECT email FROM connection_invitations") == [(STRANGER,)]
    assert (await team.owner.delete(team.api)).status_code == 204
    assert await team.sql("SELECT count(*) FROM connection_invitations") == [(0,)]
