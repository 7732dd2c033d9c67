"""Taking a session back, exactly, without hurting what others did since."""

from basewarden.undo.receipt import OnConflict, Receipt, RowConflict
from basewarden.undo.service import Undo
from basewarden.undo.target import ApplyOptions, Presser

__all__ = ["ApplyOptions", "OnConflict", "Presser", "Receipt", "RowConflict", "Undo"]
