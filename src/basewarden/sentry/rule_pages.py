"""The page of each rule: what it means, what to do, when it is harmless."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

from markupsafe import Markup

from basewarden.sentry.rules import list_rules
from basewarden.web import RenderedBlock, render_markdown

_FOLDER: Final = Path(__file__).parent / "rules"
_ADVICE: Final = "\n**What to do.**"
_HARMLESS: Final = "\n**When it is harmless.**"


@dataclass(frozen=True, slots=True)
class RulePage:
    """Its parts, in the order of the page: what the rule is about, what to do, and when it is harmless."""

    title: Markup
    meaning: Sequence[RenderedBlock]
    advice: Sequence[RenderedBlock]
    harmless: Sequence[RenderedBlock]


@cache
def list_titles() -> dict[str, str]:
    """By id."""
    return {rule.id: rule.title for rule in list_rules()}


@cache
def read_rule_text(rule_id: str) -> str | None:
    """Its page as Markdown; None for a rule that there is no more."""
    if rule_id not in list_titles():
        return None
    return (_FOLDER / rule_id / "page.md").read_text(encoding="utf-8")


@cache
def read_rule_page(rule_id: str) -> RulePage | None:
    """None for a rule that there is no more."""
    text = read_rule_text(rule_id)
    if text is None:
        return None
    meaning, _, rest = text.partition(_ADVICE)
    advice, _, harmless = rest.partition(_HARMLESS)
    shown = render_markdown(meaning, PurePosixPath(), {})
    return RulePage(shown.title, shown.blocks, _render(advice), _render(harmless))


def _render(text: str) -> Sequence[RenderedBlock]:
    return render_markdown(text.strip(), PurePosixPath(), {}).blocks
