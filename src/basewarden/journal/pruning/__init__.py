"""Taking away what the journal has kept for long enough: whole months where it can, rows in small batches elsewhere."""

from basewarden.journal.pruning.service import list_journal_pruners

__all__ = ["list_journal_pruners"]
