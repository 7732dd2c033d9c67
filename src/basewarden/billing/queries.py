"""All SQL of billing."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Interval,
    Row,
    RowMapping,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.accounts import User
from basewarden.billing.bodies import ProviderEvent, Version
from basewarden.billing.models import (
    BillingCheckout,
    BillingCheckoutClaim,
    BillingCustomer,
    BillingEvent,
    BillingGrant,
    BillingNotice,
    BillingPayment,
    BillingSubscription,
)
from basewarden.billing.plans import Grant, Subscribed, SubscriptionState
from basewarden.billing.webhooks import Delivery
from basewarden.core.ids import make_id
from basewarden.db import Base, ReadSession, WriteSession

State = BillingCustomer | BillingSubscription | BillingPayment
_STREAMED_AT_ONCE = 200


async def set_lock_timeout(session: WriteSession, seconds: int) -> None:
    """Sets how long this unit waits for a lock."""
    await session.execute(select(func.set_config("lock_timeout", f"{seconds}s", true())))


async def keep_receipt(session: WriteSession, delivery: Delivery, event: ProviderEvent) -> None:
    """Stores the delivery. The first applied body of an id is kept for good; before that, the last one sent is kept."""
    values = {
        "type": event.type,
        "customer_id": event.customer_id,
        "event_at": event.version.at,
        "sent_at": delivery.sent_at,
        "payload": delivery.body,
    }
    query = insert(BillingEvent).values(id=make_id(), webhook_id=delivery.id, **values)
    is_later = and_(BillingEvent.applied_at.is_(None), BillingEvent.sent_at <= query.excluded.sent_at)
    await session.execute(
        query.on_conflict_do_update(index_elements=[BillingEvent.webhook_id], set_=values, where=is_later)
    )


async def lock_receipt(session: WriteSession, webhook_id: str) -> BillingEvent | None:
    query = select(BillingEvent).where(BillingEvent.webhook_id == webhook_id).with_for_update()
    return await session.scalar(query)


async def mark_applied(session: WriteSession, receipt_id: UUID) -> None:
    changes = {"applied_at": func.clock_timestamp(), "attempts": BillingEvent.attempts + 1, "error": None}
    await session.execute(update(BillingEvent).where(BillingEvent.id == receipt_id).values(**changes))


async def note_failure(session: WriteSession, webhook_id: str, error: str) -> None:
    query = update(BillingEvent).where(BillingEvent.webhook_id == webhook_id, BillingEvent.applied_at.is_(None))
    await session.execute(query.values(attempts=BillingEvent.attempts + 1, error=error))


async def claim_retries(
    session: WriteSession, most_attempts: int, *, first: timedelta, longest: timedelta, limit: int
) -> list[str]:
    """Claims the deliveries to retry now; each then waits twice as long for its next retry.

    A new delivery is left to the request that received it, for the first wait.
    """
    due = (
        select(BillingEvent.id)
        .where(
            BillingEvent.applied_at.is_(None),
            BillingEvent.attempts < most_attempts,
            func.coalesce(BillingEvent.retry_at, BillingEvent.received_at + first) <= func.now(),
        )
        .order_by(BillingEvent.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    wait = func.least(longest, first * func.power(2, BillingEvent.attempts), type_=Interval)
    query = update(BillingEvent).where(BillingEvent.id.in_(due)).values(retry_at=func.now() + wait)
    return list(
        await session.scalars(
            query.returning(BillingEvent.webhook_id), execution_options={"synchronize_session": False}
        )
    )


async def list_overdue(session: AsyncSession, older_than: timedelta, kind: str, *, limit: int) -> list[BillingEvent]:
    """Lists deliveries that have not been applied for this long and have not been reported by an email of this kind."""
    notified = exists().where(BillingNotice.kind == kind, BillingNotice.about == BillingEvent.webhook_id)
    query = select(BillingEvent).where(_is_overdue(older_than), ~notified).order_by(BillingEvent.id).limit(limit)
    return list(await session.scalars(query))


async def count_overdue(session: AsyncSession, older_than: timedelta) -> int:
    return await session.scalar(select(func.count()).where(_is_overdue(older_than))) or 0


async def find_receipt(session: AsyncSession, receipt_id: UUID) -> BillingEvent | None:
    return await session.get(BillingEvent, receipt_id)


async def list_receipts(
    session: ReadSession, *, not_applied: bool, before: UUID | None, limit: int
) -> Sequence[BillingEvent]:
    """Lists them, the newest first."""
    query = select(BillingEvent).order_by(BillingEvent.id.desc()).limit(limit)
    if not_applied:
        query = query.where(BillingEvent.applied_at.is_(None))
    if before is not None:
        query = query.where(BillingEvent.id < before)
    return (await session.scalars(query)).all()


async def count_not_applied(session: AsyncSession) -> int:
    return await session.scalar(select(func.count()).where(BillingEvent.applied_at.is_(None))) or 0


async def put_state(session: WriteSession, model: type[State], values: Mapping[str, Any], version: Version) -> bool:
    """Stores the state unless a newer one is stored; returns whether it did."""
    key = model.__mapper__.primary_key[0]
    row = {
        **values,
        "state_at": version.at,
        "state_sent_at": version.sent_at,
        "state_digest": version.digest,
    }
    query = insert(model).values(**row)
    is_newer = tuple_(query.excluded.state_at, query.excluded.state_sent_at, query.excluded.state_digest) > tuple_(
        model.state_at, model.state_sent_at, model.state_digest
    )
    changes = {name: query.excluded[name] for name in row if name != key.name}
    query = query.on_conflict_do_update(index_elements=[key.name], set_=changes, where=is_newer)
    return (await session.execute(query.returning(key))).one_or_none() is not None


async def hold_user(session: WriteSession, user_id: UUID) -> bool:
    """Whether the person exists; their row is locked until the unit of work ends."""
    query = select(User.id).where(User.id == user_id).with_for_update(read=True, key_share=True)
    return await session.scalar(query) is not None


async def find_user_of_customer(session: AsyncSession, customer_id: str) -> UUID | None:
    return await session.scalar(select(BillingCustomer.user_id).where(BillingCustomer.customer_id == customer_id))


async def find_subscription(session: AsyncSession, subscription_id: str) -> BillingSubscription | None:
    query = select(BillingSubscription).where(BillingSubscription.subscription_id == subscription_id)
    return await session.scalar(query.execution_options(populate_existing=True))


async def list_subscriptions(session: AsyncSession, user_id: UUID) -> list[SubscriptionState]:
    """Lists subscriptions with this person's id, and those without one of a customer who is this person."""
    query = select(BillingSubscription).where(_is_theirs(BillingSubscription, user_id))
    return [_read_subscription(row) for row in await session.scalars(query)]


async def list_trials_ending(session: AsyncSession, within: timedelta) -> list[BillingSubscription]:
    """Lists trials whose first charge comes within this time and about which no email was sent."""
    notified = exists().where(
        BillingNotice.kind == "trial_ending", BillingNotice.about == BillingSubscription.subscription_id
    )
    first_charge = BillingSubscription.started_at + func.make_interval(0, 0, 0, BillingSubscription.trial_days)
    query = select(BillingSubscription).where(
        BillingSubscription.status == Subscribed.ACTIVE,
        BillingSubscription.trial_days > 0,
        BillingSubscription.ends_at_period_end.is_(False),
        first_charge > func.now(),
        first_charge <= func.now() + within,
        ~notified,
    )
    return list(await session.scalars(query.order_by(BillingSubscription.subscription_id).limit(500)))


async def list_running_ids(session: AsyncSession, user_id: UUID, running: Sequence[str]) -> list[str]:
    """Lists subscriptions that would be charged again."""
    query = select(BillingSubscription.subscription_id).where(
        _is_theirs(BillingSubscription, user_id), BillingSubscription.status.in_(running)
    )
    return list(await session.scalars(query))


async def list_payments(session: AsyncSession, user_id: UUID, *, limit: int) -> Sequence[BillingPayment]:
    """Lists payments with their refunds and disputes, the newest first."""
    query = select(BillingPayment).where(_is_theirs_or_of_theirs(user_id))
    return (await session.scalars(query.order_by(BillingPayment.made_at.desc(), BillingPayment.id).limit(limit))).all()


async def find_customer_id(session: AsyncSession, user_id: UUID) -> str | None:
    """Returns the customer that was updated last."""
    query = select(BillingCustomer.customer_id).where(BillingCustomer.user_id == user_id)
    newest = (BillingCustomer.state_at.desc(), BillingCustomer.state_sent_at.desc(), BillingCustomer.customer_id)
    return await session.scalar(query.order_by(*newest).limit(1))


async def claim_checkout(session: WriteSession, user_id: UUID, claim_id: UUID, holds: timedelta) -> bool:
    """Claims a person's checkout for this time; False if another request holds the claim."""
    until = func.clock_timestamp() + holds
    query = insert(BillingCheckoutClaim).values(user_id=user_id, claim_id=claim_id, claimed_until=until)
    query = query.on_conflict_do_update(
        index_elements=[BillingCheckoutClaim.user_id],
        set_={"claim_id": claim_id, "claimed_until": until},
        where=BillingCheckoutClaim.claimed_until < func.clock_timestamp(),
    )
    return await session.scalar(query.returning(BillingCheckoutClaim.user_id)) is not None


async def release_checkout(session: WriteSession, user_id: UUID, claim_id: UUID) -> None:
    query = delete(BillingCheckoutClaim).where(BillingCheckoutClaim.user_id == user_id)
    await session.execute(query.where(BillingCheckoutClaim.claim_id == claim_id))


async def find_checkout(
    session: AsyncSession, user_id: UUID, product_id: str, mode: str, youngest: timedelta
) -> BillingCheckout | None:
    query = select(BillingCheckout).where(
        BillingCheckout.user_id == user_id,
        BillingCheckout.product_id == product_id,
        BillingCheckout.mode == mode,
        BillingCheckout.created_at > func.now() - youngest,
    )
    return await session.scalar(query.order_by(BillingCheckout.created_at.desc()).limit(1))


async def find_newest_checkout_id(session: AsyncSession, user_id: UUID) -> str | None:
    query = select(BillingCheckout.session_id).where(BillingCheckout.user_id == user_id)
    return await session.scalar(query.order_by(BillingCheckout.created_at.desc()).limit(1))


async def insert_checkout(session: WriteSession, checkout: BillingCheckout) -> None:
    """`created_at` is when the checkout was created, not when its request began to wait."""
    checkout.created_at = func.clock_timestamp()
    session.add(checkout)
    await session.flush()


async def list_grants(session: AsyncSession, user_id: UUID) -> list[Grant]:
    query = select(BillingGrant).where(BillingGrant.user_id == user_id, BillingGrant.ended_at.is_(None))
    return [Grant(row.plan, row.until) for row in await session.scalars(query)]


async def list_all_grants(session: ReadSession, *, limit: int) -> Sequence[Row[BillingGrant, str]]:
    """Lists grants with the person's address, the newest first."""
    query = select(BillingGrant, User.email).join(User, User.id == BillingGrant.user_id)
    return (await session.execute(query.order_by(BillingGrant.id.desc()).limit(limit))).all()


async def insert_grant(session: WriteSession, grant: BillingGrant) -> None:
    session.add(grant)
    await session.flush()


async def end_grant(session: WriteSession, grant_id: UUID) -> bool:
    query = update(BillingGrant).where(BillingGrant.id == grant_id, BillingGrant.ended_at.is_(None))
    return await session.scalar(query.values(ended_at=func.now()).returning(BillingGrant.id)) is not None


async def take_notice(session: WriteSession, kind: str, about: str) -> bool:
    """Returns whether the email had not been recorded before."""
    query = insert(BillingNotice).values(kind=kind, about=about).on_conflict_do_nothing()
    return await session.scalar(query.returning(BillingNotice.kind)) is not None


async def erase_payloads(session: WriteSession, user_id: UUID) -> list[UUID]:
    """Bodies contain names and addresses, so a deleted person's are erased.

    A delivery that was not applied is kept until it is.
    """
    customers = select(BillingCustomer.customer_id).where(BillingCustomer.user_id == user_id)
    query = (
        update(BillingEvent)
        .where(BillingEvent.customer_id.in_(customers), BillingEvent.applied_at.is_not(None))
        .values(payload=b"")
        .returning(BillingEvent.id)
    )
    return list(await session.scalars(query.execution_options(synchronize_session=False)))


async def stream_rows(
    session: ReadSession, table: str, columns: Sequence[str], user_id: UUID
) -> AsyncGenerator[RowMapping, None]:
    """Yields a person's rows of one of billing's tables, the oldest first, in small batches."""
    known = Base.metadata.tables[table]
    is_theirs: ColumnElement[bool] = known.c.user_id == user_id
    if table == BillingSubscription.__tablename__:
        is_theirs = _is_theirs(BillingSubscription, user_id)
    elif table == BillingPayment.__tablename__:
        is_theirs = _is_theirs_or_of_theirs(user_id)
    query = select(*(known.c[name] for name in columns)).where(is_theirs).order_by(*known.primary_key)
    result = await session.stream(query, execution_options={"yield_per": _STREAMED_AT_ONCE})
    try:
        async for row in result.mappings():
            yield row
    finally:
        await result.close()


def _is_overdue(older_than: timedelta) -> ColumnElement[bool]:
    return and_(BillingEvent.applied_at.is_(None), BillingEvent.received_at < func.now() - older_than)


def _is_theirs(model: type[BillingSubscription] | type[BillingPayment], user_id: UUID) -> ColumnElement[bool]:
    customers = select(BillingCustomer.customer_id).where(BillingCustomer.user_id == user_id)
    return or_(model.user_id == user_id, and_(model.user_id.is_(None), model.customer_id.in_(customers)))


def _is_theirs_or_of_theirs(user_id: UUID) -> ColumnElement[bool]:
    """Matches a person's rows; a dispute has no person and is matched by its payment."""
    theirs = select(BillingPayment.id).where(_is_theirs(BillingPayment, user_id))
    return or_(_is_theirs(BillingPayment, user_id), BillingPayment.payment_id.in_(theirs.correlate(None)))


def _read_subscription(row: BillingSubscription) -> SubscriptionState:
    return SubscriptionState(
        subscription_id=row.subscription_id,
        product_id=row.product_id,
        status=row.status,
        started_at=row.started_at,
        trial_days=row.trial_days,
        next_billing_at=row.next_billing_at,
        ends_at_period_end=row.ends_at_period_end,
        past_due_until=row.past_due_until,
        expires_at=row.expires_at,
    )
