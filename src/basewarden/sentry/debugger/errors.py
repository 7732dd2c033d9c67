"""What requests to the row security debugger are refused with."""

from basewarden.errors import Conflict


class TrialFailed(Conflict):
    code = "trial_failed"
    message = "The trial could not be made."
