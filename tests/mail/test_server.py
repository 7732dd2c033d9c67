"""What SMTP_URL may say, how safely that talks, and whether it works."""

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from basewarden.core.secret import Secret
from basewarden.errors import StartError
from basewarden.mail import MailServer, check_smtp, read_mail_server
from basewarden.mail.smtp import Envelope, SendingFailed, send
from basewarden.settings import Settings, load_settings
from tests.fixtures.mail import (
    EMAIL_FROM,
    PASSWORD,
    USER,
    Certificate,
    Postbox,
    make_certificate,
    open_postbox,
    sign_in_as,
)

CANARY = "canary-pa55"


def make_settings(smtp_url: str | None, email_from: str | None = EMAIL_FROM) -> Settings:
    return load_settings(
        BASEWARDEN_ORIGIN="https://app.example.com",
        DATABASE_URL="postgresql://nobody@localhost/none",
        BASEWARDEN_SECRET="not a secret, only long enough for one",
        BASEWARDEN_ENCRYPTION_KEY=base64.b64encode(bytes(32)).decode(),
        SMTP_URL=smtp_url,
        EMAIL_FROM=email_from,
    )


def read(smtp_url: str, email_from: str | None = EMAIL_FROM) -> MailServer:
    server = read_mail_server(make_settings(smtp_url, email_from))
    assert server is not None
    return server


def make_envelope() -> Envelope:
    return Envelope(uuid4(), "ada@example.com", datetime.now(UTC), "Subject", "Text\n", "<p>Text</p>")


@pytest.mark.parametrize(
    ("url", "port", "tls", "starttls"),
    [
        ("smtp://mail.example.com", 587, False, True),
        ("smtp://u:p@mail.example.com:2525", 2525, False, True),
        ("smtps://u:p@mail.example.com", 465, True, False),
        ("smtp://93.184.216.34", 587, False, True),
        ("smtp://localhost:1025", 1025, False, False),
        ("smtp://127.0.0.1:1025", 1025, False, False),
        ("smtp://[::1]:1025/", 1025, False, False),
        ("smtp://10.0.0.5", 587, False, False),
        ("smtp://mailpit:1025", 1025, False, False),
        ("smtp://mailpit:1025?starttls=1", 1025, False, True),
        ("smtp://u:p@mailpit:1025", 1025, False, True),
        ("smtp://u:p@10.0.0.5?starttls=0", 587, False, False),
    ],
)
def test_a_password_or_the_open_internet_asks_for_encryption(url: str, port: int, tls: bool, starttls: bool) -> None:
    server = read(url)
    assert (server.port, server.is_tls, server.is_starttls) == (port, tls, starttls)


def test_a_login_is_written_with_percents() -> None:
    server = read(sign_in_as("smtp://mail.example.com"))
    assert (server.user, server.password) == (USER, Secret(PASSWORD))
    assert PASSWORD not in repr(server)
    assert server.own_name == "app.example.com"


def test_no_url_is_no_mail() -> None:
    assert read_mail_server(make_settings(None)) is None
    assert read_mail_server(make_settings("")) is None


@pytest.mark.parametrize(
    "url",
    [
        f"http://u:{CANARY}@mail.example.com",
        f"smtp://u:{CANARY}@",
        f"smtp://u:{CANARY}@mail.example.com:port",
        f"smtp://u:{CANARY}@mail.example.com:99999",
        f"smtp://u:{CANARY}#x@mail.example.com",
        f"smtp://u:{CANARY}/x@mail.example.com",
        f"smtp://:{CANARY}@mail.example.com",
        f"smtp://u:{CANARY}@[mail.example.com",
        f"smtp://u:{CANARY}@mail.example.com/path",
        f"smtp://u:{CANARY}@mail.example.com?tls=1",
        f"smtp://u:{CANARY}@mail.example.com?starttls=maybe",
        f"smtp://u:{CANARY}@mail.example.com?starttls=0",
        f"smtps://u:{CANARY}@mail.example.com?starttls=1",
        f"smtp://u:{CANARY}@mail.example.com?ca=/nowhere.pem",
        f"{CANARY}",
    ],
)
def test_a_bad_url_stops_the_start_without_its_password(url: str) -> None:
    with pytest.raises(StartError, match="SMTP_URL") as error:
        read(url)
    assert CANARY not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    "email_from", [None, "", "Basewarden", "a@example.com, b@example.com", "a@", "x\r\nBcc: b@example.com", "a\x00@b.c"]
)
def test_a_bad_sender_stops_the_start(email_from: str | None) -> None:
    with pytest.raises(StartError, match="EMAIL_FROM"):
        read("smtp://localhost:1025", email_from)


@pytest.mark.parametrize("how", ["starttls", "tls"])
async def test_an_email_goes_encrypted_and_signed_in(secure_postboxes: dict[str, Postbox], how: str) -> None:
    postbox = secure_postboxes[how]
    await send(read(postbox.url), make_envelope())
    (received,) = await postbox.wait()
    assert received.encrypted
    check = await check_smtp(make_settings(postbox.url))
    assert check.ok
    assert check.sentence.endswith("answers, encrypted, signed in.")


async def fail_to_send(url: str) -> SendingFailed:
    with pytest.raises(SendingFailed) as failed:
        await send(read(url), make_envelope())
    return failed.value


async def test_a_wrong_password_is_the_operator_s_fault_and_not_the_email_s(
    secure_postboxes: dict[str, Postbox],
) -> None:
    url = secure_postboxes["starttls"].url.replace(USER.replace("@", "%40"), "somebody")
    failed = await fail_to_send(url)
    assert (str(failed), failed.is_final) == ("SMTPAuthenticationError 535", False)
    check = await check_smtp(make_settings(url))
    assert not check.ok
    assert "SMTPAuthenticationError 535" in check.sentence
    assert PASSWORD not in check.sentence


@pytest.mark.parametrize("how", ["starttls", "tls"])
async def test_an_unknown_certificate_is_not_trusted(secure_postboxes: dict[str, Postbox], how: str) -> None:
    postbox = secure_postboxes[how]
    failed = await fail_to_send(postbox.url.partition("?")[0])
    assert not failed.is_final
    assert postbox.tries == 0


async def test_a_certificate_for_another_host_is_not_trusted(tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "127.0.0.2")
    async with open_postbox(starttls=other.make_context(), login=True) as postbox:
        await fail_to_send(f"{sign_in_as(postbox.url)}?ca={other.file}")
        assert postbox.tries == 0


async def test_no_password_is_sent_where_encryption_is_not_offered(postbox: Postbox) -> None:
    """As when an attacker in between removes the offer from the server's greeting."""
    failed = await fail_to_send(sign_in_as(postbox.url))
    assert not failed.is_final
    assert postbox.tries == 0


async def test_a_server_of_one_s_own_network_may_be_plain(postbox: Postbox) -> None:
    await send(read(postbox.url), make_envelope())
    (received,) = await postbox.wait()
    assert not received.encrypted
    assert (await check_smtp(make_settings(postbox.url))).sentence.endswith(
        "answers, not encrypted, without signing in."
    )


async def test_what_cannot_be_reached_is_said_in_a_sentence() -> None:
    check = await check_smtp(make_settings("smtp://127.0.0.1:9"))
    assert check.sentence == "The mail server 127.0.0.1:9 cannot be used: SMTPConnectError."
    assert not (await check_smtp(make_settings(None))).ok


async def test_a_refusal_of_the_sender_is_final(postbox: Postbox) -> None:
    postbox.fail("550 5.7.1 not you", at="MAIL")
    failed = await fail_to_send(postbox.url)
    assert (str(failed), failed.is_final) == ("SMTPSenderRefused 550", True)


def test_the_certificate_is_what_it_claims(certificate: Certificate) -> None:
    server: Any = read(f"smtp://127.0.0.1?starttls=1&ca={certificate.file}")
    assert server.make_tls_context().check_hostname
