"""Adds alerts to the registry; their collector runs as long as the application."""

from contextlib import AsyncExitStack

from basewarden.accounts import Attempts
from basewarden.alerts import pages, routes
from basewarden.alerts.collecting import AlertCollector
from basewarden.alerts.erasure import AlertErasure
from basewarden.alerts.export import ALERT_PARTS
from basewarden.alerts.pruning import ALERT_PRUNERS
from basewarden.alerts.sending import AlertSender
from basewarden.alerts.service import Alerts
from basewarden.alerts.trying import AlertTrial
from basewarden.audit import Audit
from basewarden.db import Database, Listener
from basewarden.jobs import Jobs
from basewarden.mail import Mail
from basewarden.settings import Settings
from basewarden.vault import Vault
from basewarden.web import Registry

ROUTERS = (routes.router, pages.router)
EXPORT_PARTS = ALERT_PARTS
PRUNERS = ALERT_PRUNERS


def wire(registry: Registry) -> None:
    settings, database = registry.get(Settings), registry.get(Database)
    jobs, mail = registry.get(Jobs), registry.get(Mail)
    alerts = registry.add(Alerts(vault=registry.get(Vault), audit=registry.get(Audit), mail=mail, settings=settings))
    listener = registry.get(Listener)
    sender = registry.add(AlertSender(database=database, jobs=jobs, mail=mail, alerts=alerts, settings=settings))
    registry.add(AlertCollector(database=database, listener=listener, jobs=jobs, sender=sender, settings=settings))
    attempts = registry.get(Attempts)
    registry.add(AlertTrial(database=database, attempts=attempts, alerts=alerts, sender=sender, settings=settings))


def list_erasure_handlers(_registry: Registry) -> tuple[AlertErasure, ...]:
    return (AlertErasure(),)


async def start(registry: Registry, stack: AsyncExitStack) -> None:
    collector = registry.get(AlertCollector)
    await collector.start()
    stack.push_async_callback(collector.stop)
