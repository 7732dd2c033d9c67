"""The contact form: an email to the inbox that can be answered, and nothing for programs that fill in forms."""

import httpx
import pytest

from basewarden.mail import EmailState
from tests.fixtures.app import Serve
from tests.fixtures.mailing import Mailing, ServeMailing

INBOX = "desk@basewarden.example"
TYPED = {
    "topic": "problem",
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "message": "It does not start.\n\nWhat now?",
}


@pytest.fixture
async def contact(serve_mailing: ServeMailing) -> Mailing:
    return await serve_mailing({"contact_inbox": INBOX})


@pytest.fixture
async def writer(contact: Mailing) -> httpx.AsyncClient:
    return await contact.product.client()


async def count_emails(contact: Mailing) -> int:
    return int(await contact.query("SELECT count(*) FROM letters"))


async def test_a_message_comes_to_the_inbox_and_can_be_answered(contact: Mailing, writer: httpx.AsyncClient) -> None:
    page = await writer.get("/contact")
    assert page.status_code == 200
    assert 'action="/contact"' in page.text
    answer = await writer.post("/contact", data=TYPED)
    assert (answer.status_code, answer.headers["location"]) == (303, "/contact?done=sent")
    assert "Message sent" in (await writer.get("/contact?done=sent")).text
    (email,) = await contact.postbox.wait(to=INBOX)
    assert email.message["Reply-To"] == "ada@example.com"
    assert "ada@example.com" not in str(email.message["From"])
    assert email.subject == "Something does not work, from Ada Lovelace"
    assert "It does not start.\n\nWhat now?" in email.text
    assert "What now?" in email.html


async def test_nothing_of_it_stays_once_it_is_out(contact: Mailing, writer: httpx.AsyncClient) -> None:
    await writer.post("/contact", data=TYPED)
    await contact.postbox.wait(to=INBOX)
    await contact.finish_jobs()
    assert await contact.query("SELECT state FROM letters") == EmailState.SENT
    assert "ada" not in str(await contact.query("SELECT letters::text FROM letters"))


async def test_what_was_typed_stays_after_an_error(contact: Mailing, writer: httpx.AsyncClient) -> None:
    typed = {**TYPED, "email": "not an address", "message": 'Look: <script>alert("x")</script>'}
    answer = await writer.post("/contact", data=typed)
    assert answer.status_code == 422
    assert 'value="not an address"' in answer.text
    assert "Ada Lovelace" in answer.text
    assert "&lt;script&gt;" in answer.text
    assert "<script>alert" not in answer.text
    assert '<option value="problem" selected' in answer.text
    assert await count_emails(contact) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"name": "A\r\nBcc: all@example.com"},
        {"name": ""},
        {"name": "x" * 121},
        {"email": "a@example.com\r\nBcc: all@example.com"},
        {"email": ""},
        {"email": "a@example.com, b@example.com"},
        {"message": ""},
        {"message": " \n "},
        {"message": "nul \x00 byte"},
        {"message": "x" * 5001},
        {"message": "y" * 50_000},
        {"topic": "nonsense"},
        {"topic": ""},
    ],
    ids=str,
)
async def test_what_does_not_fit_is_refused(
    contact: Mailing, writer: httpx.AsyncClient, change: dict[str, str]
) -> None:
    answer = await writer.post("/contact", data={**TYPED, **change})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert await count_emails(contact) == 0


async def test_a_program_that_fills_in_everything_gets_thanks_and_no_email(
    contact: Mailing, writer: httpx.AsyncClient
) -> None:
    answer = await writer.post("/contact", data={**TYPED, "website": "https://spam.example"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/contact?done=sent")
    assert await count_emails(contact) == 0


async def test_an_address_sends_five_an_hour(contact: Mailing, writer: httpx.AsyncClient) -> None:
    for _ in range(5):
        assert (await writer.post("/contact", data=TYPED)).status_code == 303
    await writer.post("/contact", data={**TYPED, "email": "x"})  # a slip of the hand is no message
    refused = await writer.post("/contact", data=TYPED)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert "Ada Lovelace" in refused.text
    assert "What now?" in refused.text
    await contact.finish_jobs()
    assert await count_emails(contact) == 5


async def test_a_slip_of_the_hand_costs_no_message(contact: Mailing, writer: httpx.AsyncClient) -> None:
    for _ in range(8):
        assert (await writer.post("/contact", data={**TYPED, "email": "x"})).status_code == 422
    assert (await writer.post("/contact", data=TYPED)).status_code == 303


async def test_another_site_cannot_send_it(writer: httpx.AsyncClient) -> None:
    answer = await writer.post("/contact", data=TYPED, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403


async def test_without_an_inbox_it_says_so(serve_mailing: ServeMailing) -> None:
    mailing = await serve_mailing()
    client = await mailing.product.client()
    page = await client.get("/contact")
    assert "No address is published here" in page.text
    assert "<form" not in page.text
    answer = await client.post("/contact", data=TYPED)
    assert answer.status_code == 503
    assert "What now?" in answer.text
    assert await count_emails(mailing) == 0


async def test_without_mail_it_shows_the_address(serve: Serve) -> None:
    client = await (await serve({"contact_inbox": INBOX})).client()
    page = await client.get("/contact")
    assert f'href="mailto:{INBOX}"' in page.text
    assert "<form" not in page.text


async def test_with_mail_the_address_is_not_handed_out(writer: httpx.AsyncClient) -> None:
    assert INBOX not in (await writer.get("/contact")).text


async def test_a_signed_in_person_need_not_type_who_they_are(contact: Mailing) -> None:
    person = await contact.product.sign_up("ada@example.com")
    page = await person.get("/contact")
    assert 'value="ada@example.com"' in page.text
    assert 'class="shell"' in page.text
