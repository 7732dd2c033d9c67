"""The parts of a person's data export that belong to billing."""

from basewarden.accounts import ExportPart, ExportRows, Person
from basewarden.billing import queries
from basewarden.db import ReadSession

_YOU = "always you"
_VERSION = {
    "state_at": "orders the deliveries",
    "state_sent_at": "orders the deliveries",
    "state_digest": "orders the deliveries",
}


def _make_part(table: str, columns: tuple[str, ...], left_out: dict[str, str]) -> ExportPart:
    def list_rows(session: ReadSession, person: Person) -> ExportRows:
        return queries.stream_rows(session, table, columns, person.id)

    return ExportPart(table, table, list_rows, columns, left_out)


BILLING_PARTS = (
    _make_part("billing_customers", ("customer_id", "created_at"), {"user_id": _YOU, **_VERSION}),
    _make_part(
        "billing_subscriptions",
        (
            "subscription_id",
            "customer_id",
            "product_id",
            "status",
            "started_at",
            "trial_days",
            "next_billing_at",
            "ends_at_period_end",
            "past_due_until",
            "cancelled_at",
            "expires_at",
            "amount",
            "currency",
        ),
        {"user_id": _YOU, **_VERSION},
    ),
    _make_part(
        "billing_payments",
        (
            "id",
            "kind",
            "payment_id",
            "subscription_id",
            "customer_id",
            "status",
            "amount",
            "currency",
            "made_at",
        ),
        {"user_id": _YOU, **_VERSION},
    ),
    _make_part(
        "billing_checkouts",
        ("session_id", "product_id", "mode", "created_at"),
        {"user_id": _YOU, "url": "the address of the payment, which gives access to it"},
    ),
    _make_part(
        "billing_grants",
        ("id", "plan", "until", "ended_at", "created_at"),
        {"user_id": _YOU, "note": "the operator's own words"},
    ),
)
