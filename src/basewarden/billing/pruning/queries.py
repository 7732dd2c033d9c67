"""All SQL that prunes billing. Receipts and the provider's states are kept: they are the operator's accounts."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.billing.models import BillingCheckout, BillingCustomer, BillingGrant, BillingSubscription
from basewarden.db import WriteSession, delete_some


async def delete_old_checkouts(session: WriteSession, keep: timedelta, limit: int) -> int:
    return await delete_some(session, BillingCheckout, BillingCheckout.created_at < func.now() - keep, limit)


async def has_dealings(session: AsyncSession, user_id: UUID) -> bool:
    """Whether the person pays, has paid, has started a checkout, or was granted a plan."""
    tables = (BillingCheckout, BillingCustomer, BillingGrant, BillingSubscription)
    found = or_(*(exists().where(table.user_id == user_id) for table in tables))
    return bool(await session.scalar(select(found)))
