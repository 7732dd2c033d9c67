"""Where a token says who its bearer is: `.app_metadata.roles[?(@ ^== "admin")]`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Operator = Literal["==", "!=", "^==", "==^", "*=="]
_MATCHES: Mapping[Operator, Callable[[str, str], bool]] = {
    "==": lambda given, text: given == text,
    "!=": lambda given, text: given != text,
    "^==": lambda given, text: given.startswith(text),
    "==^": lambda given, text: given.endswith(text),
    "*==": lambda given, text: text in given,
}
_STEP = re.compile(
    r'\.(?:(?P<key>[\w$@]+)|"(?P<quoted>[^"]*)")'
    r"|\[(?P<index>[0-9]+)\]"
    r'|\[\?\(@\s*(?P<operator>==\^|==|!=|\^==|\*==)\s*"(?P<text>[^"]*)"\)\]\Z'
)


@dataclass(frozen=True, slots=True)
class RoleFilter:
    """The first text of an array that matches; only ever the last step."""

    operator: Operator
    text: str


Step = str | int | RoleFilter
"""A member of an object, a place in an array, or a choice from one."""
RolePath = tuple[Step, ...]
ROLE: RolePath = ("role",)


@dataclass(frozen=True, slots=True)
class FoundValue:
    """Something is there, though it may be null."""

    value: Any


def parse_role_path(text: str) -> RolePath:
    """ValueError for anything else than a path from end to end."""
    steps: list[Step] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise ValueError("not a path")
        steps.append(_read_step(found))
        at = found.end()
    if not steps:
        raise ValueError("an empty path")
    return tuple(steps)


def spell_role_path(path: RolePath) -> str:
    return "".join(_spell_step(step) for step in path)


def walk(claims: Mapping[str, Any], path: RolePath) -> FoundValue | None:
    found: FoundValue | None = FoundValue(claims)
    for step in path:
        if found is None:
            return None
        found = _take_step(found.value, step)
    return found


def _read_step(found: re.Match[str]) -> Step:
    if found["index"] is not None:
        return int(found["index"])
    operator = next((one for one in get_args(Operator) if one == found["operator"]), None)
    if operator is not None:
        return RoleFilter(operator, found["text"])
    return found["quoted"] if found["key"] is None else found["key"]


def _spell_step(step: Step) -> str:
    match step:
        case str():
            return f'."{step}"'
        case int():
            return f"[{step}]"
        case RoleFilter(operator, text):
            return f'[?(@ {operator} "{text}")]'


def _take_step(value: Any, step: Step) -> FoundValue | None:
    if isinstance(step, str):
        return FoundValue(value[step]) if isinstance(value, dict) and step in value else None
    if not isinstance(value, list):
        return None
    if isinstance(step, int):
        return FoundValue(value[step]) if step < len(value) else None
    matches = _MATCHES[step.operator]
    return next((FoundValue(one) for one in value if isinstance(one, str) and matches(one, step.text)), None)
