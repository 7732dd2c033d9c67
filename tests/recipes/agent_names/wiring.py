"""The routers of agent names."""

from tests.recipes.agent_names import routes

ROUTERS = (routes.router,)
