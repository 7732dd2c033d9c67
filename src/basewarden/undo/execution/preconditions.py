"""Whether a plan may be executed as the actor asked for it."""

from basewarden.undo.errors import UndoConflict
from basewarden.undo.execution.receipts import make_receipt
from basewarden.undo.planning.plan import UndoPlan
from basewarden.undo.target import ApplyOptions, UndoTarget
from basewarden.undo.tokens import check_token, make_token


def check_plan(target: UndoTarget, plan: UndoPlan, options: ApplyOptions) -> None:
    """Raises PreviewStale where the actor previewed another plan, UndoConflict where conflicts must refuse the undo."""
    check_token(target, plan, options.preview_token)
    if plan.conflicts and options.on_conflict == "refuse":
        raise UndoConflict(make_receipt(plan, make_token(target, plan)))
