"""Adds the demo's pages to the product."""

from pathlib import Path

from basewarden.demo import pages
from basewarden.demo.agent_runs import AgentRuns
from basewarden.demo.data import EMAIL
from basewarden.demo.signin_link import SigninLink
from basewarden.web import Pages, Registry
from basewarden.workspace import ExtraCommands, PaletteItem

DEMO_ROUTERS = (pages.router,)
_TEMPLATES = Path(__file__).parent / "templates"
_BREAK_SOMETHING = PaletteItem(
    "Let the agent break something",
    "/demo/agent",
    "alert",
    "demo",
    "demo damage wreck run start agent",
    "post",
    stops_work=True,
)


def wire_demo(registry: Registry, link: SigninLink, runs: AgentRuns) -> None:
    registry.add(link)
    registry.add(runs)
    registry.get(Pages).add_banner("demo", _TEMPLATES, demo_email=EMAIL, demo_runs=runs)
    registry.get(ExtraCommands).add(EMAIL, _BREAK_SOMETHING)
