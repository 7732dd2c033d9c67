"""Adds the sender of emails to the registry."""

from basewarden.db import Database
from basewarden.jobs import Jobs
from basewarden.mail.service import EMAIL_PRUNERS, Mail
from basewarden.settings import Settings
from basewarden.vault import Vault
from basewarden.web import Registry

PRUNERS = EMAIL_PRUNERS


def wire(registry: Registry) -> None:
    registry.add(Mail(registry.get(Settings), registry.get(Database), registry.get(Vault), registry.get(Jobs)))
