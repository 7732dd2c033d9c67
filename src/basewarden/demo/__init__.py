"""The demo: a shop to try the product with, and a script of an agent's damage and its undo."""

from basewarden.demo.data import DemoData, prepare_demo_data
from basewarden.demo.script import ScriptError, run_script

__all__ = ["DemoData", "ScriptError", "prepare_demo_data", "run_script"]
