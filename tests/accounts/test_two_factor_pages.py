"""Two-factor authentication as pages, without script."""

import re
from html import unescape

import httpx
import pytest

from tests.fixtures.app import PASSWORD, Serve, ServedProduct
from tests.fixtures.sql import run_sql
from tests.fixtures.twofactor import URL, Protected, StepClock

HERE = "/settings/account/2fa"
STEP = "/signin/2fa"
EMAIL = "anna@example.com"
CODE = re.compile(r"\b\d[0-9A-Z]{3}(?:-[0-9A-Z]{4}){3}\b")


def went(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.headers.get("location", "")


def read_secret(page: str) -> str:
    found = re.search(r'name="secret" value="([A-Z2-7]{32})"', page)
    assert found
    return found[1]


def read_codes(page: str) -> list[str]:
    return list(dict.fromkeys(CODE.findall(unescape(page))))


async def test_a_person_without_script_turns_it_on_and_off(timed: ServedProduct, clock: StepClock) -> None:
    person = await timed.sign_up(EMAIL)
    page = await person.get(HERE)
    assert page.status_code == 200
    assert f'action="{HERE}/setup"' in page.text

    setup = await person.post(f"{HERE}/setup")
    assert 'src="data:image/png;base64,' in setup.text
    phone = Protected(EMAIL, read_secret(setup.text), [], person, clock)

    wrong = await person.post(f"{HERE}/enable", data={"secret": phone.secret, "code": phone.wrong()})
    assert wrong.status_code == 400
    assert read_secret(wrong.text) == phone.secret
    assert "The code is wrong" in wrong.text

    on = await person.post(f"{HERE}/enable", data={"secret": phone.secret, "code": phone.code()})
    codes = read_codes(on.text)
    assert (on.status_code, len(codes)) == (200, 10)
    page = await person.get(HERE)
    assert "10 of 10 left" in page.text
    assert read_codes(page.text) == []

    wrong = await person.post(f"{HERE}/disable", data={"password": "wrong guess"})
    assert wrong.status_code == 400
    assert "The password is wrong." in wrong.text
    assert "wrong guess" not in wrong.text
    assert (await person.post(f"{HERE}/disable", data={})).status_code == 422
    off = await person.post(f"{HERE}/disable", data={"password": PASSWORD})
    assert went(off) == (303, f"{HERE}?done=off")
    page = await person.get(f"{HERE}?done=off")
    assert "Two-factor authentication is off." in page.text
    assert f'action="{HERE}/setup"' in page.text


async def test_a_page_that_was_left_behind_starts_again(timed: ServedProduct, clock: StepClock) -> None:
    person = await timed.sign_up(EMAIL)
    lonely = await person.post(f"{HERE}/enable", data={"secret": "A" * 32, "code": "123456"})
    assert went(lonely) == (303, f"{HERE}?done=again")
    first = read_secret((await person.post(f"{HERE}/setup")).text)
    await person.post(f"{HERE}/setup")
    code = Protected(EMAIL, first, [], person, clock).code()
    answer = await person.post(f"{HERE}/enable", data={"secret": first, "code": code})
    assert went(answer) == (303, f"{HERE}?done=again")


@pytest.mark.parametrize("sent", [{}, {"code": "123456"}, {"secret": "A" * 32, "code": "123456"}])
async def test_a_stolen_cookie_reads_no_secret_that_waits(timed: ServedProduct, sent: dict[str, str]) -> None:
    """A person who sees it while two-factor authentication is turned on would pass it ever after."""
    person, thief = await timed.sign_up(EMAIL), await timed.client()
    await thief.post("/api/auth/signin", json={"email": EMAIL, "password": PASSWORD})
    secret = read_secret((await person.post(f"{HERE}/setup")).text)
    answer = await thief.post(f"{HERE}/enable", data=sent)
    assert secret not in answer.text
    assert went(answer) == (303, f"{HERE}?done=again")


async def test_a_secret_that_another_person_chose_is_never_shown(timed: ServedProduct, clock: StepClock) -> None:
    """Setting up asks for no fresh sign-in, so a stolen cookie may do it while its person is at it."""
    person, thief = await timed.sign_up(EMAIL), await timed.client()
    await thief.post("/api/auth/signin", json={"email": EMAIL, "password": PASSWORD})
    own = read_secret((await person.post(f"{HERE}/setup")).text)
    planted = (await thief.post("/api/account/2fa/setup")).json()["secret"]
    code = Protected(EMAIL, own, [], person, clock).code()
    answer = await person.post(f"{HERE}/enable", data={"secret": own, "code": code})
    assert planted not in answer.text


async def test_what_is_on_already_is_not_set_up_again(anna: Protected) -> None:
    assert went(await anna.person.post(f"{HERE}/setup")) == (303, f"{HERE}?done=on")
    again = await anna.person.post(f"{HERE}/enable", data={"secret": anna.secret, "code": anna.code()})
    assert went(again) == (303, f"{HERE}?done=on")


async def test_a_sign_in_that_is_not_fresh_is_confirmed_first(
    timed: ServedProduct, anna: Protected, serve: Serve, app_database: str
) -> None:
    plain = await timed.sign_up("plain@example.com")
    await run_sql(app_database, "UPDATE signin_sessions SET authenticated_at = now() - interval '11 minutes'")
    other = (await serve(clock=anna.clock)).settings.origin
    confirm = f"/settings/account/confirm?next={HERE}"
    for person, call in ((plain, "setup"), (plain, "enable"), (anna.person, "recovery-codes")):
        answer = await person.post(f"{other}{HERE}/{call}", data={"secret": "x", "code": "123456"})
        assert went(answer) == (303, confirm), call
    for person, action in ((plain, "setup"), (anna.person, "recovery-codes")):
        page = (await person.get(f"{other}{HERE}")).text
        assert f'href="{confirm}"' in page
        assert f'action="{HERE}/{action}"' not in page
    off = await anna.person.post(f"{other}{HERE}/disable", data={"password": PASSWORD})
    assert went(off) == (303, f"{HERE}?done=off")


async def test_without_a_password_it_is_turned_off_by_a_press(anna: Protected, serve: Serve, app_database: str) -> None:
    await run_sql(app_database, "UPDATE users SET password_hash = NULL")
    other = (await serve(clock=anna.clock)).settings.origin
    page = (await anna.person.get(f"{other}{HERE}")).text
    assert f'action="{HERE}/disable"' in page
    assert 'name="password"' not in page
    assert went(await anna.person.post(f"{other}{HERE}/disable")) == (303, f"{HERE}?done=off")


async def test_few_recovery_codes_are_warned_of_and_new_ones_made(timed: ServedProduct, anna: Protected) -> None:
    for code in anna.recovery[:7]:
        client = await anna.sign_in(timed)
        await client.post(f"{URL}/verify", json={"code": code, "recovery": True})
    page = (await anna.person.get(HERE)).text
    assert "3 of 10 left" in page
    assert "Generate new ones below" not in page
    client = await anna.sign_in(timed)
    await client.post(f"{URL}/verify", json={"code": anna.recovery[7], "recovery": True})
    assert "Only 2 recovery codes are left" in (await anna.person.get(HERE)).text
    made = await anna.person.post(f"{HERE}/recovery-codes")
    assert len(read_codes(made.text)) == 10
    assert "10 of 10 left" in (await anna.person.get(HERE)).text


async def test_the_codes_can_be_kept_as_a_file(anna: Protected) -> None:
    answer = await anna.person.post(f"{HERE}/recovery-codes/file", data={"codes": " ".join(anna.recovery)})
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="basewarden-recovery-codes.txt"'
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert read_codes(answer.text) == anna.recovery


@pytest.mark.parametrize("codes", ["", "<script>codes()</script>", "7Q4M-XK2W-HN9P-T8RC <b>", "x" * 10_000])
async def test_the_file_holds_nothing_but_codes(anna: Protected, codes: str) -> None:
    answer = await anna.person.post(f"{HERE}/recovery-codes/file", data={"codes": codes})
    assert went(answer) == (303, f"{HERE}?done=again")


async def test_signing_in_goes_on_to_the_page_that_was_wanted(timed: ServedProduct, anna: Protected) -> None:
    client = await timed.client()
    form = {"email": EMAIL, "password": PASSWORD, "next": "/connections?done=saved"}
    answer = await client.post("/signin", data=form)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{STEP}?next=")
    page = (await client.get(answer.headers["location"])).text
    assert 'name="next" value="/connections?done=saved"' in page
    assert 'autocomplete="one-time-code"' in page
    assert 'inputmode="numeric"' in page
    assert 'action="/signout"' in page

    wrong = await client.post(STEP, data={"code": anna.wrong(), "next": form["next"]})
    assert wrong.status_code == 400
    assert "The code is wrong" in wrong.text
    assert anna.wrong() not in wrong.text
    assert 'name="next" value="/connections?done=saved"' in wrong.text
    assert (await client.get("/connections")).status_code == 303
    answer = await client.post(STEP, data={"code": anna.code(), "next": form["next"]})
    assert went(answer) == (303, "/connections?done=saved")
    assert (await client.get("/connections")).status_code == 200
    assert went(await client.get(f"{STEP}?next=/connections/new")) == (303, "/connections/new")


async def test_a_recovery_code_signs_in_by_its_own_form(timed: ServedProduct, anna: Protected) -> None:
    client = await anna.sign_in(timed)
    wrong = await client.post(STEP, data={"recoveryCode": "7Q4M-0000-0000-0000"})
    assert wrong.status_code == 400
    assert "7Q4M-0000" not in wrong.text
    assert "<details open>" in wrong.text
    answer = await client.post(STEP, data={"recoveryCode": anna.recovery[0].lower(), "next": ""})
    assert went(answer) == (303, "/connections")


async def test_a_clock_that_is_off_is_said_on_the_page(timed: ServedProduct, anna: Protected) -> None:
    answer = await (await anna.sign_in(timed)).post(STEP, data={"code": anna.code(6)})
    assert "about 3 minutes ahead" in answer.text


async def test_an_empty_form_costs_no_attempt(timed: ServedProduct, anna: Protected) -> None:
    client = await anna.sign_in(timed)
    for data in ({}, {"code": ""}, {"code": "", "recoveryCode": ""}, {"code": "1" * 65}) * 2:
        assert (await client.post(STEP, data=data)).status_code == 422
    assert (await client.post(STEP, data={"code": anna.code()})).status_code == 303


async def test_too_many_tries_are_said_on_the_page(timed: ServedProduct, anna: Protected) -> None:
    client = await anna.sign_in(timed)
    statuses = [(await client.post(STEP, data={"code": anna.wrong()})).status_code for _ in range(5)]
    assert statuses == [400] * 5
    answer = await client.post(STEP, data={"code": anna.code()})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "Too many attempts" in answer.text


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", STEP])
async def test_the_second_step_never_leads_to_another_site(timed: ServedProduct, anna: Protected, path: str) -> None:
    client = await anna.sign_in(timed)
    page = (await client.get(STEP, params={"next": path})).text
    assert "evil.example" not in page
    answer = await client.post(STEP, data={"code": anna.code(), "next": path})
    assert answer.headers["location"] in ("/connections", STEP)
    assert went(await client.get(STEP, params={"next": path})) in ((303, "/connections"), (303, STEP))
    assert went(await client.get(STEP)) == (303, "/connections")


async def test_who_is_not_signed_in_signs_in_first(client: httpx.AsyncClient, owner: httpx.AsyncClient) -> None:
    assert went(await client.get(f"{STEP}?next=/connections/new")) == (303, "/signin?next=/connections/new")
    assert went(await client.post(STEP, data={"code": "123456"})) == (303, "/signin?next=/")
    made_up = {"cookie": "authjs.session-token=made-up"}
    assert went(await client.get(STEP, headers=made_up)) == (303, "/signin?next=/connections")
    assert went(await owner.get(STEP)) == (303, "/connections")
    assert went(await client.get(HERE)) == (303, f"/signin?next={HERE}")
