"""Taking a session back, exactly, without hurting what others did since."""

from basewarden.undo.past import ApplyOptions, Presser
from basewarden.undo.service import Undo
from basewarden.undo.values import OnConflict, Receipt, RowConflict

__all__ = ["ApplyOptions", "OnConflict", "Presser", "Receipt", "RowConflict", "Undo"]
