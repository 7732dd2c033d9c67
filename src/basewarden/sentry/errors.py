"""What requests about scans, findings and changes are refused with."""

from collections.abc import Sequence
from typing import ClassVar

from basewarden.errors import AppError, Conflict


class ScanRunning(Conflict):
    code = "scan_running"
    message = "A scan of this connection is running. Wait for it."


class FindingClosed(Conflict):
    code = "finding_closed"
    message = "This finding is not open, so nothing is changed for it."


class FindingChanged(Conflict):
    code = "finding_changed"
    message = "The database is not as it was when this was found. Scan again first."


class FixRefused(Conflict):
    """The fix was tried and rolled back."""

    code = "fix_refused"
    message = "The fix does not close this finding, so it was not applied."


class FixNotReversible(Conflict):
    code = "fix_not_reversible"
    message = "Basewarden cannot take this change back exactly, so it does not apply it. Run the SQL yourself."


class NothingToUndo(Conflict):
    code = "nothing_to_undo"
    message = "There is no change of this finding that can be undone."


class ChangeRunning(Conflict):
    code = "change_running"
    message = "Another change of this connection's database is running. Wait for it, then try again."


class ObjectLocked(Conflict):
    code = "object_locked"
    message = "Other transactions use the object, and it did not become free in time. Nothing was changed; try again."


class ChangeFailed(Conflict):
    code = "change_failed"
    message = "The database refused the change. Nothing was changed."


class FixDrift(Conflict):
    code = "fix_drift"
    message = "The object was changed after the fix, so undoing the fix would undo that, too. Nothing was changed."


class QuarantineDrift(Conflict):
    code = "quarantine_drift"
    message = "The object was changed during the quarantine, so it is not given back. Nothing was changed."


class AlreadyQuarantined(Conflict):
    code = "already_quarantined"
    message = "This object is in quarantine already."


class NotReachable(Conflict):
    code = "not_reachable"
    message = "The API's roles do not reach this object, so there is nothing to close."


class NotClosable(Conflict):
    code = "not_closable"
    message = "Only tables, views, functions, sequences and storage buckets can be quarantined."


class LoginMayNot(AppError):
    """`details` has the SQL for a role that may run it, and what the login cannot do."""

    status: ClassVar[int] = 422
    code = "login_may_not"
    message = "The connection's login may not do this. Run the SQL as the owner of the object."

    def __init__(self, reasons: Sequence[str], sql: str) -> None:
        super().__init__(" ".join([self.message, *reasons]), details={"reasons": list(reasons), "sql": sql})
