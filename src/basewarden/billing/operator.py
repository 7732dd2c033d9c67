"""The operator's part of billing: deliveries that could not be applied, and granted plans."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import Row

from basewarden.accounts import find_user_by_email, make_email_key
from basewarden.billing import queries
from basewarden.billing.errors import NotApplied
from basewarden.billing.events import Deliveries, EventOutcome
from basewarden.billing.models import BillingEvent, BillingGrant
from basewarden.billing.plans import CATALOG
from basewarden.billing.retries import OVERDUE
from basewarden.core.ids import make_id
from basewarden.db import Database, ReadSession, WriteSession
from basewarden.errors import Invalid, NotFound

_SHOWN_GRANTS = 100
_log = structlog.get_logger()


class Grants:
    async def give(
        self, session: WriteSession, *, email: str, plan: str, until: datetime, note: str = ""
    ) -> BillingGrant:
        """Grants a plan to a person with an account. Of two simultaneous grants, the better one counts."""
        if plan not in {one.key for one in CATALOG.granted}:
            raise Invalid.field("plan", "This plan cannot be granted.")
        user = await find_user_by_email(session, make_email_key(email))
        if user is None:
            raise Invalid.field("email", "No account has this address.")
        grant = BillingGrant(id=make_id(), user_id=user.id, plan=plan, until=until, note=note)
        await queries.insert_grant(session, grant)
        _log.info("billing.granted", user=str(user.id), plan=plan, until=until.isoformat())
        return grant

    async def list_newest(self, session: ReadSession) -> Sequence[Row[BillingGrant, str]]:
        """Each with the person's email address."""
        return await queries.list_all_grants(session, limit=_SHOWN_GRANTS)

    async def end(self, session: WriteSession, grant_id: UUID) -> None:
        if not await queries.end_grant(session, grant_id):
            raise NotFound


class Receipts:
    def __init__(self, database: Database, deliveries: Deliveries) -> None:
        self._database = database
        self._deliveries = deliveries

    async def list_page(
        self, session: ReadSession, *, not_applied: bool, before: UUID | None, limit: int
    ) -> Sequence[BillingEvent]:
        return await queries.list_receipts(session, not_applied=not_applied, before=before, limit=limit)

    async def count_waiting(self, session: ReadSession) -> int:
        return await queries.count_not_applied(session)

    async def count_overdue(self, session: ReadSession) -> int:
        """Lists the deliveries that have waited for more than an hour."""
        return await queries.count_overdue(session, OVERDUE)

    async def apply_again(self, receipt_id: UUID) -> EventOutcome | None:
        """None if it failed again; its receipt then has the new error."""
        async with self._database.read_only() as session:
            receipt = await queries.find_receipt(session, receipt_id)
        if receipt is None:
            raise NotFound
        try:
            return await self._deliveries.apply(receipt.webhook_id)
        except NotApplied:
            return None
