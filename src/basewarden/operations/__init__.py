"""For the operator of a deployment: health, metrics, the status page, the docs, retention, backup and the doctor."""

from basewarden.operations.health import Health
from basewarden.operations.liveness import Liveness
from basewarden.operations.requests import RequestCounts
from basewarden.operations.retention import Retention
from basewarden.operations.scheduler import Scheduler

__all__ = [
    "Health",
    "Liveness",
    "RequestCounts",
    "Retention",
    "Scheduler",
]
