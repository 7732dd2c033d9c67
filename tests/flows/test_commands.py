"""The operator's commands, as processes of their own on a served product's database."""

import asyncio
import base64
import os
import sys
from pathlib import Path

import httpx
import psycopg

from tests.fixtures.app import PASSWORD, ServedProduct

CHECKOUT = Path(__file__).parents[2]
NEW_PASSWORD = "quite another long walk"


async def run_command(product: ServedProduct, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "basewarden", *arguments),
        env={
            **os.environ,
            "PYTHONPATH": str(CHECKOUT / "src"),
            "DATABASE_URL": product.settings.database_url.reveal(),
            "BASEWARDEN_ORIGIN": product.settings.origin,
            "BASEWARDEN_SECRET": product.settings.secret.reveal(),
            "BASEWARDEN_ENCRYPTION_KEY": base64.b64encode(bytes(32)).decode(),
            "BASEWARDEN_LOG_LEVEL": "warning",
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_an_operator_hands_over_a_link_where_there_is_no_mail(product: ServedProduct) -> None:
    await product.sign_up("anna@example.com")
    code, out, err = await run_command(product, "link", "Anna@example.com", "reset")
    assert code == 0, err
    link = out.strip()
    assert link.startswith(f"{product.settings.origin}/reset/")
    client = await product.client()
    token = link.rpartition("/")[2]
    answer = await client.post("/api/account/reset-password", json={"token": token, "password": NEW_PASSWORD})
    assert answer.status_code == 200, answer.text
    account = {"email": "anna@example.com", "password": NEW_PASSWORD}
    assert (await client.post("/api/auth/signin", json=account)).status_code == 200


async def test_a_link_for_an_unknown_address_is_one_sentence(product: ServedProduct) -> None:
    code, out, err = await run_command(product, "link", "nobody@example.com", "verify")
    assert (code, out) == (1, "")
    assert err.strip().splitlines()[-1] == "basewarden: No account has this address."


async def test_queued_emails_are_listed_without_their_text(product: ServedProduct) -> None:
    code, out, _ = await run_command(product, "emails")
    assert (code, out.strip()) == (0, "No email is queued, and none has failed.")


async def test_the_audit_verifies_until_it_is_changed(owner: httpx.AsyncClient, product: ServedProduct) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}
    assert (await owner.post("/api/account/change-password", json=body)).status_code == 200
    code, out, err = await run_command(product, "audit", "verify")
    assert code == 0, err
    head = out.rpartition("Head: ")[2].strip()
    async with await psycopg.AsyncConnection.connect(product.settings.database_url.reveal()) as connection:
        await connection.execute("ALTER TABLE audit_events DISABLE TRIGGER USER")
        await connection.execute("UPDATE audit_events SET kind = 'signout' WHERE kind = 'password_changed'")
    code, out, err = await run_command(product, "audit", "verify", "--head", head)
    assert code == 1
    assert "Broken at event" in out
    assert "is not in the chain" in out
    assert err.strip().endswith("basewarden: The audit log is not intact.")
