"""The errors of billing."""

from basewarden.errors import AppError, BadRequest, Conflict, NotFound, Unavailable

NO_BILLING = "This deployment has no billing."


class PlanLimit(AppError):
    """`details` is `{"limit", "plan"}`. Existing connections keep working; only new ones are refused."""

    status = 402
    code = "plan_limit"
    message = "Your plan's limit is reached. Change your plan to add more."


class ProviderFailed(AppError):
    status = 502
    code = "provider_failed"
    message = "The payment provider returned an error, and nothing was charged. Try again in a minute."


class AlreadySubscribed(Conflict):
    code = "already_subscribed"
    message = "You already have a subscription."


class NoCustomer(NotFound):
    code = "no_customer"
    message = "You have no account at the payment provider yet. Subscribe first."


class BadDelivery(BadRequest):
    """A webhook that does not follow the standard."""

    code = "bad_delivery"
    message = "This is not a valid Standard Webhooks delivery."


class StaleDelivery(BadRequest):
    code = "stale_delivery"
    message = "The delivery's timestamp is more than five minutes off."


class WrongSignature(AppError):
    status = 401
    code = "wrong_signature"
    message = "The delivery's signature is not valid."


class NotApplied(Unavailable):
    code = "not_applied"
    message = "The delivery could not be applied. Send it again."
