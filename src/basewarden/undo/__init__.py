"""Taking a session back, exactly, without hurting what others did since."""

from basewarden.undo.service import Presser, Undo
from basewarden.undo.values import Conflict, OnConflict, Receipt

__all__ = ["Conflict", "OnConflict", "Presser", "Receipt", "Undo"]
