"""The part of the contract that is about money."""

from basewarden.operations.api.entries import Group, call, no, ok
from basewarden.web import CallerKind

_PERSON, _PROVIDER = CallerKind.PERSON, CallerKind.PROVIDER
_LIMITED = no(429, "rate_limited", "too many attempts; Retry-After says when the next one counts")
_FAILED = no(502, "provider_failed", "the payment provider fails")
_UNSET = no(503, "not_configured", "this deployment has no billing")

BILLING = Group(
    "billing",
    "Billing",
    "On a deployment without billing there are no limits.",
    (
        call(
            "GET",
            "/api/billing",
            _PERSON,
            "One's plan.",
            ok("configured, plan, state, until, problem, limits, hasCustomer"),
        ),
        call(
            "POST",
            "/api/billing/checkout",
            _PERSON,
            "A checkout at the payment provider; for some minutes the same one, however often one asks.",
            ok("checkoutUrl", "where to send the browser"),
            no(409, "already_subscribed", "there is a subscription already"),
            _LIMITED,
            _FAILED,
            _UNSET,
            stable=True,
        ),
        call(
            "POST",
            "/api/billing/portal",
            _PERSON,
            "The provider's pages for one's subscription and means of payment.",
            ok("url", "where to send the browser"),
            no(404, "no_customer", "the provider does not know one yet"),
            _LIMITED,
            _FAILED,
            _UNSET,
            stable=True,
        ),
        call(
            "POST",
            "/api/webhooks/dodo",
            _PROVIDER,
            "Deliveries as in Standard Webhooks. A repeated one has no further effect.",
            ok("outcome", "applied, applied before, or of a type that means nothing here"),
            no(400, "bad_delivery", "headers or body are malformed"),
            no(400, "stale_delivery", "more than five minutes old, or from the future"),
            no(401, "wrong_signature", "no signature is right"),
            no(503, "not_applied", "kept, but not applied: send it again"),
            no(503, "not_configured", "no secret is set"),
            stable=True,
        ),
    ),
)
