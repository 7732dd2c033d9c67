"""What requests about scans and findings are refused with."""

from basewarden.errors import Conflict


class ScanRunning(Conflict):
    code = "scan_running"
    message = "A scan of this connection is running. Wait for it."
