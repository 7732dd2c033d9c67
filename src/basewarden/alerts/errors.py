"""What requests about alerts are refused with."""

from basewarden.errors import Conflict


class TooManyAlerts(Conflict):
    code = "too_many_alerts"
    message = "This connection has 10 alerts. Delete one of them first."


class AlertExists(Conflict):
    code = "alert_exists"
    message = "There is an alert for this target already. Delete it first to choose other events."


class AlertDisabled(Conflict):
    code = "alert_disabled"
    message = "This alert is off. Turn it on first."


class NotSigned(Conflict):
    code = "not_signed"
    message = "Only the messages of a webhook are signed."
