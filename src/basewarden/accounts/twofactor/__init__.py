"""Two-factor authentication by an authenticator app, with recovery codes."""

from basewarden.accounts.twofactor.checking import Clock, count_second_factor, read_clock
from basewarden.accounts.twofactor.service import TwoFactor, count_codes_left

__all__ = ["Clock", "TwoFactor", "count_codes_left", "count_second_factor", "read_clock"]
