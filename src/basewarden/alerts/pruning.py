"""Deletes messages after a month; their alerts stay."""

from datetime import timedelta

from basewarden.alerts import queries
from basewarden.db import Pruner, in_batches

KEEP_DELIVERIES = timedelta(days=30)
ALERT_PRUNERS = (Pruner("alert_deliveries", KEEP_DELIVERIES, in_batches(queries.delete_old_deliveries)),)
