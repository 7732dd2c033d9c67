"""Billing's emails: each is sent once, however often and in whatever order deliveries arrive."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from basewarden.accounts import find_user
from basewarden.billing import queries
from basewarden.db import WriteSession
from basewarden.mail import Email, Mail, render_email
from basewarden.settings import Settings

_NO_MINOR_UNIT = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_THREE_DIGITS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


class BillingEmailKind(StrEnum):
    """Each has a template with its name."""

    PAYMENT_FAILED = "payment_failed"
    TRIAL_ENDING = "trial_ending"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"
    NOT_APPLIED = "not_applied"


class BillingEmails:
    """Sends nothing if no mail server is configured."""

    def __init__(self, mail: Mail, settings: Settings) -> None:
        self._mail = mail
        self._origin = settings.origin
        self._operators = settings.operators

    @property
    def can_reach_operators(self) -> bool:
        return self._mail.is_configured and bool(self._operators)

    async def enqueue_for_operators(self, session: WriteSession, kind: BillingEmailKind, **facts: Any) -> None:
        subject, text, html = render_email(
            f"billing/emails/{kind}", origin=self._origin, page="/operator/billing?show=not-applied", **facts
        )
        for address in self._operators:
            email = Email(kind=f"billing_{kind}", address=address, subject=subject, text=text, html=html)
            await self._mail.enqueue(session, email)

    async def enqueue_once(
        self, session: WriteSession, kind: BillingEmailKind, about: str, user_id: UUID | None, **facts: str | None
    ) -> None:
        """`about` is the id of the email's subject: a second email of the same kind about it is never sent."""
        if user_id is None or not self._mail.is_configured:
            return
        user = await find_user(session, user_id)
        if user is None or not await queries.take_notice(session, kind, about):
            return
        subject, text, html = render_email(
            f"billing/emails/{kind}", name=user.name, origin=self._origin, page="/settings/billing", **facts
        )
        await self._mail.enqueue(
            session,
            Email(kind=f"billing_{kind}", address=user.email, subject=subject, text=text, html=html, user_id=user_id),
        )


def format_amount(amount: int | None, currency: str | None) -> str | None:
    """`12.50 EUR`, from an amount in the smallest unit of the currency."""
    if amount is None or currency is None:
        return None
    code = currency.upper()
    digits = 0 if code in _NO_MINOR_UNIT else 3 if code in _THREE_DIGITS else 2
    return f"{Decimal(amount).scaleb(-digits):,.{digits}f} {code}"


def format_day(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(UTC):%-d %B %Y}"
