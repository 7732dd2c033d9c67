"""Adds the audit log to the registry."""

from basewarden.audit.service import Audit
from basewarden.db import Database
from basewarden.web import Registry


def wire(registry: Registry) -> None:
    registry.add(Audit(registry.get(Database)))
