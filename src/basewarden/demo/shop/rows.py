"""One class per table; its fields are the columns that the generator fills, in COPY's order."""

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Json, Jsonb
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

# PostgreSQL's infinite dates and intervals have no Python value, so they are text.
Moment = datetime | str


class AuthUser(NamedTuple):
    id: UUID
    email: str
    encrypted_password: str
    raw_app_meta_data: Jsonb
    raw_user_meta_data: Jsonb | None
    banned_until: Moment | None
    last_sign_in_at: datetime
    created_at: datetime


class Customer(NamedTuple):
    id: UUID
    user_id: UUID | None
    email: str
    full_name: str
    phone: str | None
    birthday: date | None
    tier: str
    tags: list[str | None]
    preferences: Jsonb | None
    points: int
    marketing_consent: bool
    default_address_id: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str | None


class CustomerAddress(NamedTuple):
    id: int
    customer_id: UUID
    kind: str
    recipient: str
    street: str
    postal_code: str
    city: str
    country: str
    location: tuple[float, float] | None
    delivery_note: str | None
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str | None


class Category(NamedTuple):
    id: int
    parent_id: int | None
    slug: str
    name: str
    position: int


class Product(NamedTuple):
    id: int
    category_id: int
    sku: str
    name: str
    description: str
    status: str
    tags: list[str]
    attributes: Jsonb
    package: tuple[int, int, int, Decimal]
    roast_curve: list[int | None] | None
    rating: float
    launched_on: date
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str | None


class Price(NamedTuple):
    id: int
    product_id: int
    amount: Decimal
    currency: str
    vat_rate: Decimal
    landed_cost: Decimal | None
    validity: Range[date]


class Warehouse(NamedTuple):
    code: str
    name: str
    location: tuple[float, float]
    opens_at: time
    closes_at: time
    closed_on: Multirange[date]
    network: str


class Stock(NamedTuple):
    warehouse_code: str
    product_id: int
    on_hand: int
    reserved: int
    lead_time: str
    days_of_cover: float
    count_drift: float
    counted_at: Moment
    updated_at: datetime
    updated_by: str | None


class Coupon(NamedTuple):
    code: str
    title: str
    percent_off: Decimal
    valid: Range[datetime]
    regions: list[str | None] | None
    weeks: Multirange[int] | None
    uses_left: int | None
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str | None


class Order(NamedTuple):
    id: int
    customer_id: UUID
    shipping_address_id: int
    coupon_code: str | None
    status: str
    shipping_fee: Decimal
    delivery_window: Range[datetime] | None
    placed_from: str
    gift_message: str | None
    placed_at: datetime
    shipped_at: datetime | None
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str | None


class OrderItem(NamedTuple):
    order_id: int
    line_no: int
    product_id: int
    quantity: int
    unit_price: Decimal
    discount: Decimal

    @property
    def line_total(self) -> Decimal:
        return self.quantity * self.unit_price - self.discount


class Payment(NamedTuple):
    id: UUID
    order_id: int
    method: str
    status: str
    amount: Decimal
    provider_reference: int
    provider_payload: Json | None
    signature: bytes | None
    held_until: Moment | None
    paid_at: datetime


class Refund(NamedTuple):
    id: UUID
    payment_id: UUID
    order_id: int
    line_no: int
    amount: Decimal
    reason: str
    refunded_at: datetime


class Invoice(NamedTuple):
    id: int
    number: str
    customer_id: UUID
    order_id: int
    total: Decimal
    vat_id: str | None
    issued_on: date
    due_on: date
    paid_on: date | None
    pdf_sha256: bytes


class Ticket(NamedTuple):
    id: int
    customer_id: UUID
    order_id: int | None
    duplicate_of: int | None
    subject: str
    status: str
    priority: str
    assignee: str | None
    snoozed_until: Moment | None
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str | None


class Message(NamedTuple):
    id: int
    ticket_id: int
    customer_id: UUID | None
    author: str
    body: str
    attachments: list[str | None] | None
    sent_at: datetime
    read_at: datetime | None


class TableRows(NamedTuple):
    schema: str
    table: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
