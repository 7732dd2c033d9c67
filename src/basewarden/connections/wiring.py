"""Adds connections to the registry, and what billing and every page's sidebar need to know of them."""

from datetime import timedelta
from functools import partial

from basewarden.accounts import Attempts
from basewarden.audit import Audit
from basewarden.billing import Plans, Usage
from basewarden.connections import (
    agent_edit_pages,
    agent_pages,
    agent_token_pages,
    health_pages,
    new_pages,
    routes,
    settings_pages,
)
from basewarden.connections.agent_form_keys import AgentFormKeys
from basewarden.connections.agent_states import AgentStates
from basewarden.connections.callers import find_sidebar_connection, list_sidebar_connections
from basewarden.connections.erasure import ConnectionErasure
from basewarden.connections.export import CONNECTION_PARTS
from basewarden.connections.guard import pages as guard_pages
from basewarden.connections.guard import routes as guard_routes
from basewarden.connections.invitations import accept_pages
from basewarden.connections.invitations import pages as invitation_pages
from basewarden.connections.invitations import routes as invitation_routes
from basewarden.connections.invitations.acceptance import Acceptance
from basewarden.connections.invitations.emails import InvitationEmails
from basewarden.connections.invitations.queries import delete_old_invitations
from basewarden.connections.invitations.service import Invitations
from basewarden.connections.kept_secrets import KeptSecrets
from basewarden.connections.members import approval_pages, approval_routes, two_factor_pages, two_factor_routes
from basewarden.connections.members import pages as member_pages
from basewarden.connections.members import routes as member_routes
from basewarden.connections.members.approvals import ApprovalRule
from basewarden.connections.members.service import Members
from basewarden.connections.members.two_factor import TwoFactorRule
from basewarden.connections.queries import count_owned, is_member_anywhere
from basewarden.connections.service import Connections
from basewarden.connections.targets import ConnectionTargets
from basewarden.db import Database, Listener, Pruner, in_batches
from basewarden.mail import Mail
from basewarden.settings import Settings
from basewarden.vault import Vault
from basewarden.web import Registry, Shell

ROUTERS = (
    routes.router,
    new_pages.router,
    settings_pages.router,
    health_pages.router,
    agent_pages.router,
    invitation_routes.router,
    invitation_pages.router,
    accept_pages.router,
    member_routes.router,
    member_pages.router,
    two_factor_routes.router,
    approval_routes.router,
    approval_pages.router,
    two_factor_pages.router,
    agent_token_pages.router,
    agent_edit_pages.router,
    guard_routes.router,
    guard_pages.router,
)
KEEP_INVITATIONS = timedelta(days=30)
"""After they expired, so that an old link is reported as expired or used and not as unknown."""
PRUNERS = (Pruner("connection_invitations", KEEP_INVITATIONS, in_batches(delete_old_invitations)),)
EXPORT_PARTS = CONNECTION_PARTS
has_ties = is_member_anywhere


def wire(registry: Registry) -> None:
    settings, database, vault = registry.get(Settings), registry.get(Database), registry.get(Vault)
    targets = registry.add(ConnectionTargets(database, registry.get(Listener), vault, settings))
    registry.add(
        Connections(
            database=database,
            targets=targets,
            vault=vault,
            attempts=registry.get(Attempts),
            settings=settings,
            plans=registry.get(Plans),
            audit=registry.get(Audit),
        )
    )
    _add_members(registry, targets)
    registry.add(AgentStates(registry.get(Listener)))
    registry.add(KeptSecrets(vault))
    registry.add(AgentFormKeys(vault))
    registry.add(Shell(partial(list_sidebar_connections, database), partial(find_sidebar_connection, database)))
    registry.add(Usage(count_owned))


def _add_members(registry: Registry, targets: ConnectionTargets) -> None:
    plans, audit = registry.get(Plans), registry.get(Audit)
    emails = InvitationEmails(registry.get(Mail))
    members = registry.add(Members(targets=targets, plans=plans, audit=audit))
    registry.add(
        Invitations(
            database=registry.get(Database),
            members=members,
            plans=plans,
            attempts=registry.get(Attempts),
            emails=emails,
            settings=registry.get(Settings),
        )
    )
    registry.add(TwoFactorRule(members=members, targets=targets))
    registry.add(ApprovalRule(members=members, targets=targets))
    registry.add(Acceptance(targets=targets, plans=plans, emails=emails, audit=audit))


def list_erasure_handlers(registry: Registry) -> tuple[ConnectionErasure, ...]:
    return (ConnectionErasure(registry.get(ConnectionTargets)),)
