"""Plans and what they allow, checkout, and the payment provider's webhooks."""

from basewarden.billing.errors import PlanLimit
from basewarden.billing.jobs import BillingJobs
from basewarden.billing.pages import Usage
from basewarden.billing.provider import BillingProvider
from basewarden.billing.retries import Retries
from basewarden.billing.service import Plans

__all__ = [
    "BillingJobs",
    "BillingProvider",
    "PlanLimit",
    "Plans",
    "Retries",
    "Usage",
]
