"""Generates the shop's rows, table by table in the order that foreign keys require."""

from collections.abc import Sequence
from typing import Any

from basewarden.demo.shop.goods import make_goods
from basewarden.demo.shop.people import make_customers
from basewarden.demo.shop.rows import (
    AuthUser,
    Category,
    Coupon,
    Customer,
    CustomerAddress,
    Invoice,
    Message,
    Order,
    OrderItem,
    Payment,
    Price,
    Product,
    Refund,
    Stock,
    TableRows,
    Ticket,
    Warehouse,
)
from basewarden.demo.shop.support import make_support
from basewarden.demo.shop.trade import make_trade

CUSTOMERS_AT_FULL_SCALE = 5000


def generate_shop(scale: float) -> list[TableRows]:
    """Generates the same rows for the same scale, always; over 60,000 at scale 1."""
    goods = make_goods()
    users, customers, addresses = make_customers(max(1, round(CUSTOMERS_AT_FULL_SCALE * scale)))
    trade = make_trade(customers, addresses, goods)
    support = make_support(customers, trade.orders)
    return [
        _table("users", AuthUser, users, schema="auth"),
        _table("customers", Customer, customers),
        _table("addresses", CustomerAddress, addresses),
        _table("categories", Category, goods.categories),
        _table("products", Product, goods.products),
        _table("prices", Price, goods.prices),
        _table("warehouses", Warehouse, goods.warehouses),
        _table("stock", Stock, goods.stock),
        _table("coupons", Coupon, goods.coupons),
        _table("orders", Order, trade.orders),
        _table("order_items", OrderItem, trade.items),
        _table("payments", Payment, trade.payments),
        _table("refunds", Refund, trade.refunds),
        _table("invoices", Invoice, trade.invoices),
        _table("tickets", Ticket, support.tickets),
        _table("messages", Message, support.messages),
    ]


def _table(name: str, row: type[Any], rows: Sequence[tuple[Any, ...]], *, schema: str = "public") -> TableRows:
    return TableRows(schema, name, row._fields, rows)
