"""The token of a preview, by which an undo is bound to what was shown."""

from basewarden.undo.errors import PreviewStale
from basewarden.undo.execution.receipts import make_receipt
from basewarden.undo.planning.plan import UndoPlan
from basewarden.undo.target import UndoTarget

_MOST_DIGITS = 18


def make_token(target: UndoTarget, plan: UndoPlan) -> str:
    """Equal as long as the session got no more writes and the same rows would be written in the same way.

    More writes of the session do not matter where only some are undone.
    """
    if target.writes_undone:
        return f"of-{len(target.writes_undone)}.{plan.digest}"
    return f"{target.writes}.{target.position}.{plan.digest}"


def check_token(target: UndoTarget, plan: UndoPlan, token: str | None) -> None:
    """Raises PreviewStale. Without a token, nothing is checked."""
    now = make_token(target, plan)
    if token is not None and token != now:
        raise PreviewStale(make_receipt(plan, now), _count_arrived(target, token))


def _count_arrived(target: UndoTarget, token: str) -> int:
    seen = token.partition(".")[0]
    is_number = seen.isascii() and seen.isdigit() and len(seen) <= _MOST_DIGITS
    return max(0, target.writes - int(seen)) if is_number else 0
