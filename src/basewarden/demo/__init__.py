"""The demo: a shop to try the product with, an agent that breaks something, and a script of the damage and its undo."""

from basewarden.demo.additions import DEMO_ROUTERS, wire_demo
from basewarden.demo.agent_runs import AgentRuns
from basewarden.demo.data import DemoData, prepare_demo_data
from basewarden.demo.script import ScriptError, run_script
from basewarden.demo.signin_link import SigninLink

__all__ = [
    "DEMO_ROUTERS",
    "AgentRuns",
    "DemoData",
    "ScriptError",
    "SigninLink",
    "prepare_demo_data",
    "run_script",
    "wire_demo",
]
