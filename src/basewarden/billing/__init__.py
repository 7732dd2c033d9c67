"""Plans and what they allow, checkout, and the payment provider's webhooks."""

from basewarden.billing.emails import BillingEmails
from basewarden.billing.erasure import BillingErasure
from basewarden.billing.errors import PlanLimit
from basewarden.billing.events import Deliveries
from basewarden.billing.export import BILLING_PARTS
from basewarden.billing.jobs import BillingJobs
from basewarden.billing.operator import Grants, Receipts
from basewarden.billing.pages import Usage
from basewarden.billing.provider import BillingProvider
from basewarden.billing.retries import Retries
from basewarden.billing.returns import Returns
from basewarden.billing.service import Billing, Plans

__all__ = [
    "BILLING_PARTS",
    "Billing",
    "BillingEmails",
    "BillingErasure",
    "BillingJobs",
    "BillingProvider",
    "Deliveries",
    "Grants",
    "PlanLimit",
    "Plans",
    "Receipts",
    "Retries",
    "Returns",
    "Usage",
]
