"""Accounts: users, how they sign in, and their sign-in sessions."""

from basewarden.accounts.addresses import make_email_key
from basewarden.accounts.attempts import AccountLimits, Attempt, Attempts, Limit
from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.data.deletion import Blocker, Deletions
from basewarden.accounts.data.export import Export, ExportPart
from basewarden.accounts.data.export import Rows as ExportRows
from basewarden.accounts.errors import ReauthRequired
from basewarden.accounts.links import make_operator_link
from basewarden.accounts.models import Purpose, User
from basewarden.accounts.password.hashing import PasswordCost
from basewarden.accounts.password.routes import AccountsDep
from basewarden.accounts.password.schemas import SignIn
from basewarden.accounts.pruning import list_account_pruners
from basewarden.accounts.queries import find_user, find_user_by_email, lock_user
from basewarden.accounts.reauth.in_form import CONFIRM_FIELD, FormConfirmation, FormConfirmationDep
from basewarden.accounts.return_path import second_step_path
from basewarden.accounts.settings_pages import list_settings_pages
from basewarden.accounts.signin.callers import (
    FreshlySignedIn,
    Operator,
    SignedIn,
    SignInSessionsDep,
    Visitor,
    require_person,
    show_visitor,
)
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.accounts.signin.session_list import SessionList
from basewarden.accounts.signin.sessions import PERSON_TOPIC, SIGNIN_TOPIC, Person, SignInSessions
from basewarden.accounts.twofactor import Clock, read_clock
from basewarden.accounts.verification.email_change import EmailChange

__all__ = [
    "CONFIRM_FIELD",
    "PERSON_TOPIC",
    "SIGNIN_TOPIC",
    "AccountLimits",
    "AccountsDep",
    "Attempt",
    "Attempts",
    "Blocker",
    "ClientInfoDep",
    "Clock",
    "Deletions",
    "EmailChange",
    "Export",
    "ExportPart",
    "ExportRows",
    "FormConfirmation",
    "FormConfirmationDep",
    "FreshlySignedIn",
    "Limit",
    "Operator",
    "PasswordCost",
    "Person",
    "Purpose",
    "ReauthRequired",
    "SessionList",
    "SignIn",
    "SignInSessions",
    "SignInSessionsDep",
    "SignedIn",
    "User",
    "Visitor",
    "find_user",
    "find_user_by_email",
    "list_account_pruners",
    "list_settings_pages",
    "lock_user",
    "make_email_key",
    "make_operator_link",
    "read_clock",
    "require_person",
    "second_step_path",
    "set_signin_cookies",
    "show_visitor",
]
