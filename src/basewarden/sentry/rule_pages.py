"""The page of each rule: what it means, what to do, when it is harmless."""

from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

from basewarden.sentry.rules import list_rules
from basewarden.web import Rendering, render_markdown

_FOLDER: Final = Path(__file__).parent / "rules"


@cache
def list_titles() -> dict[str, str]:
    """By id."""
    return {rule.id: rule.title for rule in list_rules()}


@cache
def read_rule_page(rule_id: str) -> Rendering | None:
    """None for a rule that there is no more."""
    if rule_id not in list_titles():
        return None
    text = (_FOLDER / rule_id / "page.md").read_text(encoding="utf-8")
    return render_markdown(text, PurePosixPath(), {})
