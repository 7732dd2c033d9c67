"""People, their passwords and their sign-in sessions."""

from basewarden.accounts.addresses import make_email_key
from basewarden.accounts.attempts import AccountLimits, Attempt, Attempts, Limit
from basewarden.accounts.callers import FreshlySignedIn, HalfSignedIn, SignedIn, require_person
from basewarden.accounts.deletion import Blocker, Deletions, Leaving
from basewarden.accounts.devices import Devices
from basewarden.accounts.email_change import EmailChange
from basewarden.accounts.errors import MfaRequired, ReauthRequired
from basewarden.accounts.export import Export, ExportPart
from basewarden.accounts.export import Rows as ExportRows
from basewarden.accounts.export_parts import ACCOUNT_PARTS
from basewarden.accounts.letters import Letters
from basewarden.accounts.links import make_operator_link
from basewarden.accounts.models import Purpose, User
from basewarden.accounts.own_signins import OwnSignins
from basewarden.accounts.passwords import PasswordCost, Passwords
from basewarden.accounts.profile import Profiles
from basewarden.accounts.pruning import list_account_pruners, list_people_pruners
from basewarden.accounts.queries import find_user, find_user_by_email, lock_user
from basewarden.accounts.quiet import QuietJobs
from basewarden.accounts.reauth import Reauth
from basewarden.accounts.resets import Resets
from basewarden.accounts.return_path import confirm_beside_path, confirm_path, second_step_path, signin_path
from basewarden.accounts.service import Accounts, SignIn, SignUp
from basewarden.accounts.signins import Person, Signins, Tokens
from basewarden.accounts.verification import Verification
from basewarden.accounts.where import FromWhere

__all__ = [
    "ACCOUNT_PARTS",
    "AccountLimits",
    "Accounts",
    "Attempt",
    "Attempts",
    "Blocker",
    "Deletions",
    "Devices",
    "EmailChange",
    "Export",
    "ExportPart",
    "ExportRows",
    "FreshlySignedIn",
    "FromWhere",
    "HalfSignedIn",
    "Leaving",
    "Letters",
    "Limit",
    "MfaRequired",
    "OwnSignins",
    "PasswordCost",
    "Passwords",
    "Person",
    "Profiles",
    "Purpose",
    "QuietJobs",
    "Reauth",
    "ReauthRequired",
    "Resets",
    "SignIn",
    "SignUp",
    "SignedIn",
    "Signins",
    "Tokens",
    "User",
    "Verification",
    "confirm_beside_path",
    "confirm_path",
    "find_user",
    "find_user_by_email",
    "list_account_pruners",
    "list_people_pruners",
    "lock_user",
    "make_email_key",
    "make_operator_link",
    "require_person",
    "second_step_path",
    "signin_path",
]
