"""Adds the contact form to the registry."""

from basewarden.accounts import Attempts
from basewarden.contact import pages
from basewarden.contact.service import Contact
from basewarden.mail import Mail
from basewarden.settings import Settings
from basewarden.web import Registry

ROUTERS = (pages.router,)


def wire(registry: Registry) -> None:
    registry.add(Contact(registry.get(Mail), registry.get(Attempts), registry.get(Settings)))
