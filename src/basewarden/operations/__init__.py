"""What the operator of a deployment needs: health, numbers, the status page, the API's page, retention and the like."""

from basewarden.operations.health import Configured, Health, HealthReport
from basewarden.operations.liveness import Liveness
from basewarden.operations.metrics import Metrics
from basewarden.operations.requests import RequestCounts
from basewarden.operations.retention import Retention
from basewarden.operations.scheduler import Scheduler

__all__ = [
    "Configured",
    "Health",
    "HealthReport",
    "Liveness",
    "Metrics",
    "RequestCounts",
    "Retention",
    "Scheduler",
]
