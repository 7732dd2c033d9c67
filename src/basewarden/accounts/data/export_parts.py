"""The export's parts of accounts, mail and audit, with a reason for each column that is left out."""

from collections.abc import Mapping
from contextlib import aclosing

from basewarden.accounts.addresses import make_email_key
from basewarden.accounts.data import queries
from basewarden.accounts.data.export import ExportPart, Rows
from basewarden.accounts.signin.sessions import Person
from basewarden.audit import export_events
from basewarden.db import ReadSession

YOU = "always you"
HASH = "a hash of a secret, which is not exported"
SEALED = "a secret, sealed"
CHAIN = "ties the events of all people together"
_EMAIL_COLUMNS = ("id", "kind", "address", "state", "attempts", "created_at", "sent_at", "good_until")


def _make_part(name: str, table: str, columns: tuple[str, ...], left_out: Mapping[str, str]) -> ExportPart:
    """A table whose rows have the person's id."""

    def list_rows(session: ReadSession, person: Person) -> Rows:
        return queries.stream_rows_of_user(session, table, columns, person.id)

    return ExportPart(name, table, list_rows, columns, left_out)


async def _list_emails(session: ReadSession, person: Person) -> Rows:
    """Only emails to the person's own address: the state of others would reveal whose address it is."""
    async with aclosing(queries.stream_rows_of_user(session, "letters", _EMAIL_COLUMNS, person.id)) as emails:
        async for email in emails:
            if make_email_key(email["address"]) == make_email_key(person.email):
                yield email


async def _list_events(session: ReadSession, person: Person) -> Rows:
    async for event in export_events(session, person.audit_id):
        yield event


ACCOUNT_PARTS = (
    _make_part(
        "profile",
        "users",
        (
            "id",
            "email",
            "email_verified_at",
            "name",
            "password_changed_at",
            "totp_enabled_at",
            "deletion_due_at",
            "created_at",
        ),
        {
            "audit_id": "the name under which the audit goes on when the account is deleted",
            "email_key": "the address once more, as it is compared",
            "password_hash": HASH,
            "sealed_totp_secret": SEALED,
            "sealed_totp_pending": SEALED,
            "totp_last_step": "guards against a code that is used twice",
        },
    ),
    _make_part(
        "signinSessions",
        "signin_sessions",
        (
            "id",
            "method",
            "address",
            "client",
            "created_at",
            "authenticated_at",
            "mfa_at",
            "last_seen_at",
            "ended_at",
        ),
        {"user_id": YOU, "token_hash": HASH, "mfa_hash": HASH},
    ),
    _make_part(
        "passkeys",
        "passkeys",
        ("id", "name", "transports", "is_backed_up", "created_at", "last_used_at"),
        {
            "user_id": YOU,
            "credential_id": "belongs to the key on your device",
            "public_key": "belongs to the key on your device",
            "sign_count": "guards against a copied key",
        },
    ),
    _make_part(
        "recoveryCodes",
        "recovery_codes",
        ("created_at", "used_at"),
        {"user_id": YOU, "code_hash": HASH, "position": "the first character of the code"},
    ),
    _make_part("signInElsewhere", "oauth_accounts", ("provider", "subject", "login", "linked_at"), {"user_id": YOU}),
    _make_part(
        "links",
        "account_tokens",
        ("id", "purpose", "email", "created_at", "expires_at", "consumed_at", "dead_at"),
        {"user_id": YOU, "token_hash": HASH},
    ),
    ExportPart(
        "emails",
        "letters",
        _list_emails,
        _EMAIL_COLUMNS,
        {
            "user_id": YOU,
            "sealed_content": SEALED,
            "last_error": "what our mail server had to say",
            "claimed_until": "which of our processes is sending it",
        },
    ),
    ExportPart(
        "events",
        "audit_events",
        _list_events,
        ("at", "kind", "name", "address", "client", "details"),
        {
            "id": "counts the events of all people",
            "subject": YOU,
            "salt": CHAIN,
            "place_digest": CHAIN,
            "prev_hash": CHAIN,
            "hash": CHAIN,
        },
        joined=("words",),
    ),
)
