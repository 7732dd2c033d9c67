"""Undoes a session exactly, without overwriting what others changed since."""

from basewarden.undo.receipt import OnConflict, Receipt, RowConflict
from basewarden.undo.service import Undo
from basewarden.undo.target import ApplyOptions, UndoActor

__all__ = ["ApplyOptions", "OnConflict", "Receipt", "RowConflict", "Undo", "UndoActor"]
