"""Taking a session back, exactly, without hurting what others did since."""

from basewarden.undo.receipt import OnConflict, Receipt, RowConflict
from basewarden.undo.service import Undo
from basewarden.undo.target import ApplyOptions, UndoActor

__all__ = ["ApplyOptions", "OnConflict", "Receipt", "RowConflict", "Undo", "UndoActor"]
