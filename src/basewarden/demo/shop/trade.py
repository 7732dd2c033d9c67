"""Generates orders with their items, payments, refunds and invoices."""

import hashlib
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple
from uuid import UUID

from psycopg.types.json import Json
from psycopg.types.range import Range

from basewarden.demo.shop.chance import TODAY, is_lucky, make_chance, make_uuid, moment_between
from basewarden.demo.shop.goods import Goods
from basewarden.demo.shop.rows import (
    Coupon,
    Customer,
    CustomerAddress,
    Invoice,
    Order,
    OrderItem,
    Payment,
    Price,
    Product,
    Refund,
)

CENT = Decimal("0.01")
SHIPPING_FEES = {"DE": Decimal("4.90"), "AT": Decimal("8.90"), "CH": Decimal("14.50")}
SHIPPING_ELSEWHERE = Decimal("12.90")
GIFT_MESSAGES = (
    "Happy birthday, and stay awake!",
    "Danke für alles.",
    "To your new kitchen.",
    "Merry Christmas from all of us",
    "",
)
REASONS = (
    "arrived broken",
    "wrong grind",
    "too bitter for me",
    "changed my mind",
    "delivered twice",
    "stale on arrival",
)
# The provider's ids start above 2^53, where JavaScript's numbers lose digits.
FIRST_REFERENCE = 7_361_200_000_000_000_001
ORDERS_PER_CUSTOMER = ((0, 1, 2, 3, 4, 6, 9, 14), (6, 28, 22, 16, 12, 9, 5, 2))


class Trade(NamedTuple):
    orders: list[Order]
    items: list[OrderItem]
    payments: list[Payment]
    refunds: list[Refund]
    invoices: list[Invoice]


def make_trade(customers: list[Customer], addresses: list[CustomerAddress], goods: Goods) -> Trade:
    orders = _make_orders(customers, addresses, goods.coupons)
    items_by_order = _make_items(orders, goods)
    payments = _make_payments(orders, items_by_order, {customer.id: customer for customer in customers})
    return Trade(
        orders=orders,
        items=[item for items in items_by_order.values() for item in items],
        payments=payments,
        refunds=_make_refunds(payments, items_by_order),
        invoices=_make_invoices(orders, payments),
    )


def total_of(order: Order, items: list[OrderItem]) -> Decimal:
    return order.shipping_fee + sum((item.line_total for item in items), Decimal(0))


def _make_orders(customers: list[Customer], addresses: list[CustomerAddress], coupons: list[Coupon]) -> list[Order]:
    """Generates orders sorted by time, like their numbers."""
    chance = make_chance("orders")
    addresses_of: dict[UUID, list[CustomerAddress]] = defaultdict(list)
    for address in addresses:
        addresses_of[address.customer_id].append(address)
    checkouts = [
        (moment_between(chance, customer.created_at, TODAY), customer)
        for customer in customers
        for _ in range(chance.choices(*ORDERS_PER_CUSTOMER)[0])
    ]
    checkouts.sort(key=lambda checkout: checkout[0])
    return [
        _make_order(chance, order_id, placed_at, customer, addresses=addresses_of[customer.id], coupons=coupons)
        for order_id, (placed_at, customer) in enumerate(checkouts, start=1)
    ]


def _make_order(
    chance: Random,
    order_id: int,
    placed_at: datetime,
    customer: Customer,
    *,
    addresses: list[CustomerAddress],
    coupons: list[Coupon],
) -> Order:
    status = _status_at(chance, TODAY - placed_at)
    has_left = status in {"shipped", "delivered", "returned"}
    shipped_at = min(placed_at + timedelta(hours=chance.randrange(5, 40)), TODAY) if has_left else None
    address = chance.choice(addresses)
    return Order(
        id=order_id,
        customer_id=customer.id,
        shipping_address_id=address.id,
        coupon_code=_pick_coupon(chance, placed_at, coupons),
        status=status,
        shipping_fee=SHIPPING_FEES.get(address.country, SHIPPING_ELSEWHERE),
        delivery_window=_delivery_window(chance, shipped_at) if shipped_at else None,
        placed_from=_pick_network_address(chance),
        gift_message=chance.choice(GIFT_MESSAGES) if is_lucky(chance, 0.06) else None,
        placed_at=placed_at,
        shipped_at=shipped_at,
        created_at=placed_at,
        created_by=str(customer.user_id or "web-checkout"),
        updated_at=shipped_at or placed_at,
        updated_by="warehouse-sync" if shipped_at else None,
    )


def _status_at(chance: Random, age: timedelta) -> str:
    if age < timedelta(days=1):
        return chance.choice(("pending", "paid", "packed"))
    if age < timedelta(days=4):
        return chance.choice(("packed", "shipped", "shipped"))
    return chance.choices(("delivered", "returned", "cancelled"), (91, 5, 4))[0]


def _pick_coupon(chance: Random, placed_at: datetime, coupons: list[Coupon]) -> str | None:
    if not is_lucky(chance, 0.2):
        return None
    return chance.choice([coupon.code for coupon in coupons if placed_at in coupon.valid])


def _delivery_window(chance: Random, shipped_at: datetime) -> Range[datetime]:
    morning = shipped_at.replace(hour=8, minute=0, second=0, microsecond=0) + timedelta(days=chance.randrange(1, 4))
    start = morning + timedelta(hours=chance.randrange(9))
    return Range(start, start + timedelta(hours=3))


def _pick_network_address(chance: Random) -> str:
    """Returns an address from the blocks that are reserved for documentation."""
    if is_lucky(chance, 0.25):
        return f"2001:db8:{chance.randrange(65_536):x}::{chance.randrange(1, 65_536):x}"
    return f"{chance.choice(('192.0.2', '198.51.100', '203.0.113'))}.{chance.randrange(1, 255)}"


def _make_items(orders: list[Order], goods: Goods) -> dict[int, list[OrderItem]]:
    chance = make_chance("order_items")
    prices_of: dict[int, list[Price]] = defaultdict(list)
    for price in goods.prices:
        prices_of[price.product_id].append(price)
    percent_off = {coupon.code: coupon.percent_off for coupon in goods.coupons}
    return {
        order.id: _make_order_items(chance, order, goods.products, prices_of, percent_off.get(order.coupon_code or ""))
        for order in orders
    }


def _make_order_items(
    chance: Random,
    order: Order,
    products: list[Product],
    prices_of: dict[int, list[Price]],
    percent_off: Decimal | None,
) -> list[OrderItem]:
    chosen = chance.sample(products, chance.choices((1, 2, 3, 4, 6), (28, 34, 22, 11, 5))[0])
    items = []
    for line_no, product in enumerate(chosen, start=1):
        quantity = chance.choices((1, 2, 3, 6), (70, 20, 7, 3))[0]
        unit_price = _price_on(prices_of[product.id], order.placed_at.date())
        discount = (quantity * unit_price * (percent_off or 0) / 100).quantize(CENT)
        items.append(OrderItem(order.id, line_no, product.id, quantity, unit_price, discount))
    return items


def _price_on(prices: list[Price], day: date) -> Decimal:
    """Returns the price on a day; before the launch (a pre-order) the first one."""
    return next((price.amount for price in prices if day in price.validity), prices[0].amount)


def _make_payments(
    orders: list[Order], items_by_order: dict[int, list[OrderItem]], customers: dict[UUID, Customer]
) -> list[Payment]:
    chance = make_chance("payments")
    payments: list[Payment] = []
    for order in orders:
        total = total_of(order, items_by_order[order.id])
        is_business = customers[order.customer_id].tier == "business"
        for status in _payment_statuses(chance, order):
            method = "invoice" if is_business else chance.choice(("card", "card", "paypal", "sepa_debit", "gift_card"))
            reference = FIRST_REFERENCE + len(payments) * 4_194_304 + chance.randrange(4096)
            payments.append(
                _make_payment(chance, order, total=total, method=method, status=status, reference=reference)
            )
    return payments


def _payment_statuses(chance: Random, order: Order) -> list[str]:
    """Returns one status per attempt; a failed card is retried."""
    if order.status == "pending":
        return []
    failures = ["failed"] if is_lucky(chance, 0.05) else []
    if order.status == "cancelled":
        return [*failures, "refunded"]
    if order.status in {"paid", "packed"}:
        return [*failures, "authorized"]
    return [*failures, "disputed" if is_lucky(chance, 0.006) else "captured"]


def _make_payment(chance: Random, order: Order, *, total: Decimal, method: str, status: str, reference: int) -> Payment:
    message = f'{{ "id": {reference},  "amount": "{total}", "state": "{status}", "state_reason": null }}'
    has_provider = method not in {"invoice", "gift_card"}
    return Payment(
        id=make_uuid(chance),
        order_id=order.id,
        method=method,
        status=status,
        amount=total,
        provider_reference=reference,
        provider_payload=Json(message, dumps=str) if has_provider else None,
        signature=hashlib.sha256(message.encode()).digest() if has_provider else None,
        held_until="infinity" if status == "disputed" else None,
        paid_at=order.placed_at + timedelta(seconds=chance.randrange(20, 900)),
    )


def _make_refunds(payments: list[Payment], items_by_order: dict[int, list[OrderItem]]) -> list[Refund]:
    """Refunds cancelled orders in full, and sometimes an item of a delivered one."""
    chance = make_chance("refunds")
    refunds: list[Refund] = []
    for payment in payments:
        items = [item for item in items_by_order[payment.order_id] if item.line_total > 0]
        if payment.status == "captured":
            items = [chance.choice(items)] if is_lucky(chance, 0.06) else []
        elif payment.status != "refunded":
            continue
        reason = "order cancelled" if payment.status == "refunded" else chance.choice(REASONS)
        refunds.extend(_make_refund(chance, payment, item, reason) for item in items)
    return refunds


def _make_refund(chance: Random, payment: Payment, item: OrderItem, reason: str) -> Refund:
    return Refund(
        id=make_uuid(chance),
        payment_id=payment.id,
        order_id=item.order_id,
        line_no=item.line_no,
        amount=item.line_total,
        reason=reason,
        refunded_at=min(payment.paid_at + timedelta(hours=chance.randrange(2, 300)), TODAY),
    )


def _make_invoices(orders: list[Order], payments: list[Payment]) -> list[Invoice]:
    """Generates invoices for business customers; their foreign key restricts the customer's deletion."""
    chance = make_chance("invoices")
    billed = {payment.order_id: payment for payment in payments if payment.method == "invoice"}
    invoices: list[Invoice] = []
    for order in orders:
        payment = billed.get(order.id)
        if payment is not None and order.status == "delivered":
            invoices.append(_make_invoice(chance, len(invoices) + 1, order, payment))
    return invoices


def _make_invoice(chance: Random, invoice_id: int, order: Order, payment: Payment) -> Invoice:
    issued_on = order.placed_at.date() + timedelta(days=2)
    due_on = issued_on + timedelta(days=14)
    is_paid = due_on < TODAY.date() and is_lucky(chance, 0.95)
    number = f"{issued_on.year}-{invoice_id:05}"
    return Invoice(
        id=invoice_id,
        number=number,
        customer_id=order.customer_id,
        order_id=order.id,
        total=payment.amount,
        vat_id=f"DE{chance.randrange(10**8, 10**9)}" if is_lucky(chance, 0.7) else None,
        issued_on=issued_on,
        due_on=due_on,
        paid_on=issued_on + timedelta(days=chance.randrange(1, 14)) if is_paid else None,
        pdf_sha256=hashlib.sha256(number.encode()).digest(),
    )
