"""Parses the parts of a delivery that we need. Other parts are ignored; those that we need must be well formed."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError

from basewarden.billing.errors import BadDelivery
from basewarden.billing.webhooks import Delivery
from basewarden.core.ids import parse_id
from basewarden.core.text import clean_line

MAX_BODY_BYTES = 1024 * 1024
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_MOST = 2**62
_MOST_DAYS = 100_000
_IS_AMOUNT = re.compile(r"-?[0-9]{1,18}")


def _read_moment(value: datetime) -> datetime:
    """A time without a zone is in UTC. Times that are too far away for a database are refused."""
    moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    if not _EARLIEST <= moment <= _LATEST:
        raise ValueError("is too far away")
    return moment.astimezone(UTC)


def _read_amount(value: Any) -> Any:
    """The amount of a dispute is sent as text."""
    return int(value) if isinstance(value, str) and _IS_AMOUNT.fullmatch(value) else value


Id = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(clean_line)]
Word = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(clean_line)]
Moment = Annotated[datetime, AfterValidator(_read_moment)]
Amount = Annotated[int, Field(ge=-_MOST, le=_MOST), BeforeValidator(_read_amount)]
Days = Annotated[int, Field(ge=0, le=_MOST_DAYS)]


class EventTopic(StrEnum):
    SUBSCRIPTION = "subscription"
    PAYMENT = "payment"
    REFUND = "refund"
    DISPUTE = "dispute"


class _Customer(BaseModel):
    customer_id: Id


class _Body(BaseModel):
    metadata: dict[str, Any] | None = None

    @property
    def user_id(self) -> UUID | None:
        """The person's id, which we set at the checkout; None for any other value."""
        metadata = self.metadata or {}
        value = metadata.get("user_id") or metadata.get("userId")
        return parse_id(value) if isinstance(value, str) else None


class SubscriptionBody(_Body):
    subscription_id: Id
    customer: _Customer
    product_id: Id = "unknown"
    status: Word
    created_at: Moment
    trial_period_days: Days = 0
    next_billing_date: Moment | None = None
    cancel_at_next_billing_date: bool = False
    past_due_ends_at: Moment | None = None
    cancelled_at: Moment | None = None
    expires_at: Moment | None = None
    recurring_pre_tax_amount: Amount | None = None
    currency: Word | None = None


class PaymentBody(_Body):
    payment_id: Id
    customer: _Customer
    status: Word | None = None
    subscription_id: Id | None = None
    total_amount: Amount | None = None
    currency: Word | None = None
    created_at: Moment


class RefundBody(_Body):
    refund_id: Id
    payment_id: Id
    customer: _Customer
    status: Word
    amount: Amount | None = None
    currency: Word | None = None
    created_at: Moment


class DisputeBody(_Body):
    """A dispute names no customer; its payment does."""

    dispute_id: Id
    payment_id: Id
    dispute_status: Word
    amount: Amount | None = None
    currency: Word | None = None
    created_at: Moment


Body = SubscriptionBody | PaymentBody | RefundBody | DisputeBody
_BODIES: dict[str, type[Body]] = {
    EventTopic.SUBSCRIPTION: SubscriptionBody,
    EventTopic.PAYMENT: PaymentBody,
    EventTopic.REFUND: RefundBody,
    EventTopic.DISPUTE: DisputeBody,
}


class _Envelope(BaseModel):
    """Events of an unknown kind may contain anything."""

    type: Word
    timestamp: Moment | None = None
    data: Any = None


@dataclass(frozen=True, slots=True)
class Version:
    """Deliveries arrive in any order: the state with the larger version is kept. The digest breaks ties."""

    at: datetime
    sent_at: datetime
    digest: bytes


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """`body` None: the event's kind changes nothing here."""

    type: str
    version: Version
    body: Body | None

    @property
    def customer_id(self) -> str | None:
        return None if self.body is None or isinstance(self.body, DisputeBody) else self.body.customer.customer_id


def read_event(delivery: Delivery) -> ProviderEvent:
    """Raises BadDelivery for a body that is not JSON, is no event, or lacks a required part of its kind."""
    try:
        envelope = _Envelope.model_validate_json(delivery.body)
        at = envelope.timestamp or delivery.sent_at
        model = _BODIES.get(envelope.type.partition(".")[0])
        body = model.model_validate(_with_start(envelope.data, at)) if model else None
    except ValidationError as error:
        raise BadDelivery("The body is not an event of the payment provider.", details=_describe(error)) from None
    version = Version(at, delivery.sent_at, sha256(delivery.body).digest())
    return ProviderEvent(envelope.type, version, body)


def _with_start(data: Any, at: datetime) -> Any:
    """An object without a start began now at the latest."""
    return {"created_at": at, **data} if isinstance(data, dict) else data


def _describe(error: ValidationError) -> list[dict[str, str]]:
    """The place and the kind of the error, never the value."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return [{"field": ".".join(map(str, item["loc"])), "message": item["type"]} for item in found[:5]]
