"""The form of a new alert."""

from typing import Any, Final

from pydantic import ConfigDict

from basewarden.alerts.models import AlertChannel
from basewarden.alerts.schemas import AlertCreate

LIST_FIELDS: Final = ("events",)
SECRET_FIELDS: Final = ("target",)
"""The URLs of Slack and Discord let everyone write who has them."""
CHANNELS: Final[tuple[tuple[AlertChannel, str, str], ...]] = (
    (AlertChannel.WEBHOOK, "Webhook", "Signed JSON to a URL of yours."),
    (AlertChannel.SLACK, "Slack", "The URL of an incoming webhook; Mattermost accepts the same messages."),
    (AlertChannel.DISCORD, "Discord", "The URL of a webhook, from the settings of a channel."),
    (AlertChannel.EMAIL, "Email", "To your own confirmed address."),
)
LABELS: Final = {"channel": "Channel", "target": "URL", "events": "Events"}


class AlertForm(AlertCreate):
    """The URL of a form without script is sent for an email too, where it means nothing."""

    model_config = ConfigDict(extra="ignore")  # the kept URL is none of the request's fields

    def as_alert(self) -> AlertCreate:
        values: dict[str, Any] = self.model_dump()
        if self.channel is AlertChannel.EMAIL:
            values["target"] = None
        return AlertCreate.model_validate(values)
