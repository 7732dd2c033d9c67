"""Adds connections to the registry, and what billing and every page's sidebar need to know of them."""

from functools import partial

from basewarden.accounts import Attempts
from basewarden.billing import Plans, Usage
from basewarden.connections import agent_pages, health_pages, new_pages, routes, settings_pages
from basewarden.connections.agent_form_keys import AgentFormKeys
from basewarden.connections.callers import find_sidebar_connection, list_sidebar_connections
from basewarden.connections.erasure import ConnectionErasure
from basewarden.connections.export import CONNECTION_PARTS
from basewarden.connections.kept_secrets import KeptSecrets
from basewarden.connections.queries import count_owned, is_member_anywhere
from basewarden.connections.service import Connections
from basewarden.connections.targets import ConnectionTargets
from basewarden.db import Database, Listener
from basewarden.settings import Settings
from basewarden.vault import Vault
from basewarden.web import Registry, Shell

ROUTERS = (
    routes.router,
    new_pages.router,
    settings_pages.router,
    health_pages.router,
    agent_pages.router,
)
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
        )
    )
    registry.add(KeptSecrets(vault))
    registry.add(AgentFormKeys(vault))
    registry.add(Shell(partial(list_sidebar_connections, database), partial(find_sidebar_connection, database)))
    registry.add(Usage(count_owned))


def list_erasure_handlers(registry: Registry) -> tuple[ConnectionErasure, ...]:
    return (ConnectionErasure(registry.get(ConnectionTargets)),)
