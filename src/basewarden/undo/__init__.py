"""Taking a session back, exactly, without hurting what others did since."""

from basewarden.undo.past import ApplyOptions, Presser
from basewarden.undo.service import Undo
from basewarden.undo.values import Conflict, OnConflict, Receipt

__all__ = ["ApplyOptions", "Conflict", "OnConflict", "Presser", "Receipt", "Undo"]
