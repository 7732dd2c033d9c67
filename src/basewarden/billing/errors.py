"""What billing refuses, and why."""

from basewarden.errors import AppError, BadRequest, Conflict, NotFound, Unavailable

NO_BILLING = "This deployment has no billing."


class PlanLimit(AppError):
    """`details` is `{"limit", "plan"}`. What is there stays and works; only more of it is refused."""

    status = 402
    code = "plan_limit"
    message = "Your plan has no room for more."


class ProviderFailed(AppError):
    status = 502
    code = "provider_failed"
    message = "The payment provider did not answer as it should. Nothing was charged. Try again in a minute."


class AlreadySubscribed(Conflict):
    code = "already_subscribed"
    message = "You have a subscription already."


class NoCustomer(NotFound):
    code = "no_customer"
    message = "The payment provider does not know you yet: subscribe first."


class BadDelivery(BadRequest):
    """A webhook that is not what the standard asks for, whoever sent it."""

    code = "bad_delivery"
    message = "This is no delivery in the form of Standard Webhooks."


class StaleDelivery(BadRequest):
    code = "stale_delivery"
    message = "The delivery is more than five minutes old, or from the future."


class WrongSignature(AppError):
    status = 401
    code = "wrong_signature"
    message = "No signature of the delivery is right."


class NotApplied(Unavailable):
    code = "not_applied"
    message = "The delivery could not be applied. Send it again."
