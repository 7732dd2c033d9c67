"""The pages of members and invitations, without script: what each role sees, and every form."""

import httpx

from tests.fixtures.app import PASSWORD
from tests.fixtures.html_forms import read_forms
from tests.fixtures.members import STRANGER, Team, read_token, sign_in_again
from tests.fixtures.twofactor import make_stale


async def submit(client: httpx.AsyncClient, path: str, values: dict[str, str] | None = None) -> httpx.Response:
    """The form of a page that posts to the page's own path."""
    page = await client.get(path)
    assert page.status_code == 200, page.text
    (form,) = [one for one in read_forms(page) if one.method == "post" and one.action == path]
    form.fill(values or {})
    return await form.submit(client, page)


async def test_every_member_sees_the_members_and_only_an_owner_the_forms(team: Team) -> None:
    await team.invite(STRANGER)
    for person in (team.owner, team.editor, team.viewer):
        page = (await person.get(team.page)).text
        for email in ("owner@example.com", "editor@example.com", "viewer@example.com"):
            assert email in page
        is_owner = person is team.owner
        assert (f'action="{team.page}/invitations"' in page) == is_owner
        assert (STRANGER in page) == is_owner
        assert (f'href="{team.page}/leave"' in page) != is_owner
        assert f'href="{team.page}"' in (await person.get(f"/c/{team.connection_id}")).text
    assert (await team.stranger.get(team.page)).status_code == 404


async def test_a_role_is_changed_on_its_page(team: Team) -> None:
    answer = await submit(team.owner, f"{team.page}/{team.ids['viewer']}/role", {"role": "editor"})
    assert answer.headers["location"] == f"{team.page}?done=role"
    assert "Role changed." in (await team.owner.get(answer.headers["location"])).text
    assert (await team.list_roles())["viewer@example.com"] == "editor"
    refused = await team.owner.post(f"{team.page}/{team.ids['viewer']}/role", data={"role": "owner"})
    assert refused.status_code == 422
    own = await team.owner.post(f"{team.page}/{team.ids['owner']}/role", data={"role": "viewer"})
    assert (own.status_code, "A connection needs an owner." in own.text) == (409, True)


async def test_a_member_is_removed_and_leaves_on_their_pages(team: Team) -> None:
    answer = await submit(team.owner, f"{team.page}/{team.ids['editor']}/remove")
    assert answer.headers["location"] == f"{team.page}?done=removed"
    assert (await team.editor.get(team.page)).status_code == 404
    answer = await submit(team.viewer, f"{team.page}/leave")
    assert answer.headers["location"] == "/connections?done=left"
    assert "You left the connection." in (await team.viewer.get(answer.headers["location"])).text
    refused = await submit(team.owner, f"{team.page}/leave")
    assert (refused.status_code, "A connection needs an owner." in refused.text) == (409, True)


async def test_the_ownership_is_transferred_after_confirming_in_the_form(team: Team) -> None:
    dsn, path = team.product.settings.database_url.reveal(), f"{team.page}/{team.ids['editor']}/owner"
    await make_stale(dsn)
    owner = await sign_in_again(team.product, "owner@example.com")
    await make_stale(dsn)
    refused = await owner.post(path, data={})
    assert (refused.status_code, "Confirm your identity" in refused.text) == (403, True)
    wrong = await owner.post(path, data={"confirmPassword": "not this one"})
    assert (wrong.status_code, "not this one" in wrong.text) == (422, False)
    answer = await submit(owner, path, {"confirmPassword": PASSWORD})
    assert answer.headers["location"] == f"{team.page}?done=owner"
    assert (await team.list_roles())["editor@example.com"] == "owner"


async def test_a_dialog_holds_the_form_of_the_page_alone(team: Team) -> None:
    part = (await team.owner.get(f"{team.page}/{team.ids['viewer']}/remove?part=1")).text
    assert "<main" not in part
    assert "Remove viewer@example.com?" in part
    assert f'action="{team.page}/{team.ids["viewer"]}/remove"' in part


async def test_a_link_is_shown_once_where_no_email_is_sent(team: Team) -> None:
    answer = await team.owner.post(f"{team.page}/invitations", data={"email": STRANGER, "role": "editor"})
    assert answer.status_code == 201
    (link,) = {word for word in answer.text.split() if "/invitations/" in word and "http" in word} or {""}
    token = read_token(link.split("<")[0].rpartition(">")[2] if "<" in link else link)
    token = token.split("<")[0]
    assert token not in (await team.owner.get(team.page)).text
    page = await team.stranger.get(f"/invitations/{token}")
    assert "Join “Shop”" in page.text
    answer = await submit(team.stranger, f"/invitations/{token}")
    assert answer.headers["location"] == f"/c/{team.connection_id}?done=joined"
    again = await team.stranger.get(f"/invitations/{token}")
    assert (again.status_code, "already accepted" in again.text) == (409, True)


async def test_a_refused_invitation_keeps_what_was_typed(team: Team) -> None:
    refused = await team.owner.post(f"{team.page}/invitations", data={"email": "nowhere", "role": "editor"})
    assert (refused.status_code, 'value="nowhere"' in refused.text) == (422, True)
    member = {"email": "viewer@example.com", "role": "editor"}
    refused = await team.owner.post(f"{team.page}/invitations", data=member)
    assert (refused.status_code, "already a member" in refused.text) == (409, True)


async def test_an_invitation_is_sent_again_and_revoked(team: Team) -> None:
    sent = await team.invite(STRANGER)
    answer = await team.owner.post(f"{team.page}/invitations/{sent['id']}/resend")
    assert (answer.status_code, "/invitations/" in answer.text) == (201, True)
    answer = await submit(team.owner, f"{team.page}/invitations/{sent['id']}/revoke")
    assert answer.headers["location"] == f"{team.page}?done=revoked"
    assert (await team.owner.post(f"{team.page}/invitations/{sent['id']}/resend")).status_code == 404


async def test_what_an_invitation_shows_to_others(team: Team) -> None:
    """With the token alone: the connection's name, who invited, the role; for another account: that it is not theirs."""
    token = read_token((await team.invite("someone@example.com", "editor"))["acceptUrl"])
    visitor = await team.product.client()
    page = (await visitor.get(f"/invitations/{token}")).text
    for shown in ("Shop", "owner@example.com", "Editor"):
        assert shown in page
    for hidden in ("someone@example.com", team.connection_id, "editor@example.com"):
        assert hidden not in page
    other = await team.stranger.get(f"/invitations/{token}")
    assert "This invitation was sent to another address" in other.text
    assert "someone@example.com" not in other.text
    refused = await team.stranger.post(f"/invitations/{token}")
    assert (refused.status_code, "another address" in refused.text) == (403, True)
    assert (await team.stranger.get(team.page)).status_code == 404
    unknown = await visitor.get("/invitations/made-up")
    assert (unknown.status_code, "This invitation is not valid" in unknown.text) == (404, True)


async def test_the_page_of_a_deletion_leads_to_the_members(team: Team) -> None:
    page = (await team.owner.get("/settings/account/data")).text
    assert f'href="{team.page}"' in page
    assert "transfer the ownership" in page
