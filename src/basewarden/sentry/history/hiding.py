"""Keeps secrets out of versions, which every member reads. What is hidden leaves a checksum, so that a change shows.

Triggers of webhooks have keys in their arguments, functions in their settings, and others were pasted into defaults,
policies and views. Pure.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from basewarden.sentry.leaks.detecting import find_secrets

_ARGUMENTS: Final = "arguments"
_SUSPICIOUS: Final = re.compile(
    r"(?i)eyJ|://|sb_secret_|sbp_|[sr]k_live_|sk-|gh[pousr]_|github_pat_|xox|SG\.|bwa_|PRIVATE KEY|AKIA|ASIA|secret"
    r"|[\w+/-]{40}"
)
"""Most texts have nothing of what all secrets have."""
_OWN_SETTING: Final = re.compile(r"[^=]*\.[^=]*(?==)")
"""Settings of the project have a dot in their names; others are PostgreSQL's."""
_DIGITS: Final = 8


def hide_secrets(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Of an object or a part."""
    return {name: _hide(value) for name, value in facts.items()}


def hide_settings(options: list[str]) -> list[str]:
    """Of a function."""
    return [_hide_setting(one) for one in options]


def hide_arguments(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Of a trigger: `arguments`, which PostgreSQL has as hexadecimal digits, are taken out of its definition, too."""
    kept = dict(facts)
    encoded = kept.pop(_ARGUMENTS, None)
    if not encoded:
        return kept
    data = bytes.fromhex(encoded)
    texts = [one.decode(errors="replace").replace("'", "''") for one in data.removesuffix(b"\0").split(b"\0")]
    ending = ", ".join(f"'{one}'" for one in texts) + ")"
    definition = str(kept["definition"])
    # As PostgreSQL writes them; where another one writes them otherwise, more is hidden.
    begin = definition.removesuffix(ending) if definition.endswith(ending) else definition.partition("EXECUTE")[0]
    return {**kept, "definition": f"{begin}…)", _ARGUMENTS: _sum_up(data)}


def _hide(value: Any) -> Any:
    if isinstance(value, list):
        return [_hide(one) for one in value]
    if not isinstance(value, str) or not _SUSPICIOUS.search(value):
        return value
    for found in sorted((one for one in find_secrets(value) if one.is_leak), key=lambda one: -one.offset):
        end = found.offset + found.length
        checksum = _sum_up(value[found.offset : end].encode(errors="replace"))
        value = f"{value[: found.offset]}{found.start}… (hidden, checksum {checksum}){value[end:]}"
    return value


def _hide_setting(text: str) -> str:
    name = _OWN_SETTING.match(text)
    if name is None:
        return text
    return f"{name[0]}=… (hidden, checksum {_sum_up(text[name.end() :].encode(errors='replace'))})"


def _sum_up(data: bytes) -> str:
    return sha256(data).hexdigest()[:_DIGITS]
