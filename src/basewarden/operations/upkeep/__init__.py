"""Commands for the operator: backup, restore and the doctor."""

from basewarden.operations.upkeep.backup import make_backup
from basewarden.operations.upkeep.doctor import examine, report_start_error
from basewarden.operations.upkeep.restore import restore_backup

__all__ = ["examine", "make_backup", "report_start_error", "restore_backup"]
