"""Prunes expired rows of billing, and protects paying people from the pruning of abandoned sign-ups."""

from datetime import timedelta

from basewarden.billing.pruning import queries
from basewarden.db import Pruner, in_batches

KEEP_CHECKOUTS = timedelta(days=7)
"""The provider's address of a checkout expires after a day."""
BILLING_PRUNERS = (Pruner("billing_checkouts", KEEP_CHECKOUTS, in_batches(queries.delete_old_checkouts)),)

__all__ = [
    "BILLING_PRUNERS",
]
