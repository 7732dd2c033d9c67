"""People, their passwords and their sign-in sessions."""

from basewarden.accounts.attempts import AccountLimits, Attempt, Attempts, Limit
from basewarden.accounts.callers import SignedIn, require_person
from basewarden.accounts.passwords import PasswordCost, Passwords
from basewarden.accounts.return_path import signin_path
from basewarden.accounts.service import Accounts, SignIn, SignUp
from basewarden.accounts.signins import Person, Signins

__all__ = [
    "AccountLimits",
    "Accounts",
    "Attempt",
    "Attempts",
    "Limit",
    "PasswordCost",
    "Passwords",
    "Person",
    "SignIn",
    "SignUp",
    "SignedIn",
    "Signins",
    "require_person",
    "signin_path",
]
