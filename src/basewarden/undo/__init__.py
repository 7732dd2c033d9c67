"""Undoes a session exactly, without overwriting what others changed since."""

from basewarden.undo.queries import count_undo_depth, find_undo, is_write_undone
from basewarden.undo.receipt import OnConflict, Receipt, RowConflict
from basewarden.undo.service import Undo
from basewarden.undo.stored_receipt import StoredReceipt, decode_receipt
from basewarden.undo.target import ApplyOptions, UndoActor

__all__ = [
    "ApplyOptions",
    "OnConflict",
    "Receipt",
    "RowConflict",
    "StoredReceipt",
    "Undo",
    "UndoActor",
    "count_undo_depth",
    "decode_receipt",
    "find_undo",
    "is_write_undone",
]
