"""What first requests would wait for otherwise, and others with them."""

from fastapi import FastAPI

from basewarden.web.pages import Pages
from basewarden.web.routing import resolve_routes


async def warm_up(app: FastAPI) -> None:
    """Templates only where `app.state.compiles_ahead`."""
    await resolve_routes(app)
    if app.state.compiles_ahead:
        await app.state.registry.get(Pages).compile_templates()
