"""The audit log of account events: when, from which address and with which client. Append-only and hash-chained."""

from basewarden.audit.chain import verify_chain
from basewarden.audit.events import AccountEvent, ClientInfo, EventGroup, EventKind
from basewarden.audit.models import AuditEvent
from basewarden.audit.queries import list_events
from basewarden.audit.service import Audit, export_events
from basewarden.audit.words import describe_client, describe_event, name_client

__all__ = [
    "AccountEvent",
    "Audit",
    "AuditEvent",
    "ClientInfo",
    "EventGroup",
    "EventKind",
    "describe_client",
    "describe_event",
    "export_events",
    "list_events",
    "name_client",
    "verify_chain",
]
