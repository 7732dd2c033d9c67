"""Sign-up, sign-in and sign-out as forms, without script."""

import httpx
import pytest

from basewarden.accounts.return_path import safe_path
from tests.fixtures.app import PASSWORD


async def test_a_person_without_script_gets_in_and_out(client: httpx.AsyncClient) -> None:
    form = {"email": "anna@example.com", "password": PASSWORD, "name": ""}
    answer = await client.post("/signup", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/connections")  # the first of a deployment
    assert (await client.get("/connections")).status_code == 200
    await client.post("/signout")

    wanted = await client.get("/connections?done=saved")
    assert wanted.status_code == 303
    signin = await client.get(wanted.headers["location"])
    assert 'name="next" value="/connections?done=saved"' in signin.text

    answer = await client.post(
        "/signin", data={"email": form["email"], "password": PASSWORD, "next": "/connections?done=saved"}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/connections?done=saved")
    assert (await client.get("/connections")).status_code == 200
    for path in ("/", "/signin", "/signup"):
        assert (await client.get(path)).headers["location"] == "/connections"

    answer = await client.post("/signout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin?done=signout")
    assert (await client.get("/connections")).status_code == 303
    assert (await client.get("/")).status_code == 200


async def test_errors_keep_what_was_typed_but_never_the_password(client: httpx.AsyncClient) -> None:
    answer = await client.post("/signup", data={"email": "anna@example.com", "name": "<Anna>", "password": "tiny pw"})
    assert answer.status_code == 422
    assert "anna@example.com" in answer.text
    assert "&lt;Anna&gt;" in answer.text
    assert "tiny pw" not in answer.text
    assert 'aria-describedby="password-error"' in answer.text

    answer = await client.post("/signin", data={"email": "anna@example.com", "password": "wrong guess"})
    assert answer.status_code == 401
    assert 'value="anna@example.com"' in answer.text
    assert "wrong guess" not in answer.text
    assert "address or the password is wrong" in answer.text


async def test_fields_help_password_managers(client: httpx.AsyncClient) -> None:
    signup, signin = (await client.get("/signup")).text, (await client.get("/signin")).text
    assert 'autocomplete="new-password"' in signup
    assert 'autocomplete="current-password"' in signin
    assert 'autocomplete="username"' in signin


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "connections",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "\\\\evil.example",
        "/a\x00b",
    ],
)
def test_only_paths_of_ours_are_ways_back(path: str | None) -> None:
    assert safe_path(path) == "/connections"


async def test_signing_in_never_leads_to_another_site(client: httpx.AsyncClient) -> None:
    await client.post("/signup", data={"email": "anna@example.com", "password": PASSWORD})
    answer = await client.post(
        "/signin", data={"email": "anna@example.com", "password": PASSWORD, "next": "//evil.example/x"}
    )
    assert answer.headers["location"] == "/connections"
