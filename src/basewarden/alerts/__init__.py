"""Alerts: messages about events of a connection, by webhook, Slack, Discord or email."""

from basewarden.alerts.queries import count_alerts

__all__ = ["count_alerts"]
