"""The sentry's rules, a folder each: `rule.py`, its page, and the hole that its test makes and closes."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from basewarden.sentry.rule import Rule


@cache
def list_rules() -> Sequence[Rule]:
    """By id. A folder that holds no rule of its own name is a mistake, and raises ValueError."""
    names = sorted(module.name for module in iter_modules(__path__) if module.ispkg)
    found = [import_module(f"{__name__}.{name}.rule").RULE for name in names]
    if [rule.id for rule in found] != names:
        raise ValueError("a rule must have the id of its folder")
    return tuple(found)
