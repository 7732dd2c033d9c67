"""Keeps the secrets of a refused form for its next try, without sending them back to the page.

A secret that was typed is sealed by the vault for its person, its field and a quarter of an hour; the page gets the
sealed value in a hidden field. Nothing is stored. See docs/decisions/0031-keep-typed-secrets-sealed-in-the-form.md.
"""

import base64
import binascii
import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends
from pydantic import BaseModel
from starlette.requests import Request

from basewarden.core.secret import Secret
from basewarden.vault import SealContext, Vault, VaultError
from basewarden.web import Form, inject, parse_form

KEEP_SECONDS = 900
MAX_LENGTH = 4000
EXPIRED = "What you entered was kept for 15 minutes. Enter it again."
SECRET_FIELDS = ("postgresUrl", "key")


class KeptSecrets:
    """`seal` makes the value of a hidden field, which only `open` for the same person and field can read."""

    def __init__(self, vault: Vault, clock: Callable[[], float] = time.time) -> None:
        self._vault = vault
        self._clock = clock

    def seal(self, person_id: UUID, field: str, value: str) -> str:
        content = Secret(json.dumps({"until": self._clock() + KEEP_SECONDS, "value": value}))
        return base64.urlsafe_b64encode(self._vault.seal(content, _make_context(person_id, field))).decode()

    def open(self, person_id: UUID, field: str, sealed: str) -> str | None:
        """Returns None for what has expired, was changed, or was sealed for another person or field."""
        try:
            raw = base64.b64decode(sealed, altchars=b"-_", validate=True)
            content = json.loads(self._vault.open(raw, _make_context(person_id, field)).reveal())
        except (binascii.Error, ValueError, VaultError):
            return None
        return str(content["value"]) if self._clock() < content["until"] else None


KeptSecretsDep = Annotated[KeptSecrets, Depends(inject(KeptSecrets))]


async def parse_keeping_form(
    request: Request,
    model: type[BaseModel],
    kept: KeptSecrets,
    person_id: UUID,
    *,
    fields: Collection[str] = SECRET_FIELDS,
    lists: Collection[str] = (),
) -> tuple[Form[Any], dict[str, str]]:
    """Parses a form whose empty secret `fields` stand for kept ones; returns it with its secrets, sealed again.

    `lists` are fields that may be sent several times.
    """
    async with request.form(max_files=0, max_fields=1000) as data:
        sent = {name: value for name, value in data.items() if isinstance(value, str)}
    secrets, expired = _read_secrets(sent, kept, person_id, fields)
    form = await parse_form(request, model, lists=lists, **secrets)
    form = replace(form, typed={**form.typed, **secrets})
    for field in expired:
        form = form.with_error(EXPIRED, field)
    kept_again = {
        field: kept.seal(person_id, field, value) for field, value in secrets.items() if len(value) <= MAX_LENGTH
    }
    return form, kept_again


def list_secret_fields(form: Form[Any]) -> Sequence[str]:
    """Lists fields with secrets; a connection string that was pasted as a project's URL contains a password."""
    return (*SECRET_FIELDS, "url") if "@" in form.typed.get("url", "") else SECRET_FIELDS


def _read_secrets(
    sent: dict[str, str], kept: KeptSecrets, person_id: UUID, fields: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """Returns the secrets that were typed or kept, and the fields whose kept secret has expired."""
    secrets = {field: sent[field] for field in fields if sent.get(field)}
    sealed = {field: sent[f"{field}Kept"] for field in fields if sent.get(f"{field}Kept")}
    expired = []
    for field in sealed.keys() - secrets.keys():
        value = kept.open(person_id, field, sealed[field])
        if value is None:
            expired.append(field)
        else:
            secrets[field] = value
    return secrets, expired


def _make_context(person_id: UUID, field: str) -> SealContext:
    return SealContext(f"kept_secrets.{field}", person_id)
