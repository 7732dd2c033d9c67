"""Adds accounts to the registry: passwords, sign-in sessions, second factors, GitHub, export and deletion."""

from collections.abc import Sequence
from datetime import timedelta

from basewarden.accounts.attempts import AccountLimits, Attempts
from basewarden.accounts.constant_time import ConstantTimeJobs
from basewarden.accounts.data import pages as data_pages
from basewarden.accounts.data import routes as data_routes
from basewarden.accounts.data.deletion import Deletions, ErasureHandler
from basewarden.accounts.data.export import Export, ExportPart
from basewarden.accounts.data.export_parts import ACCOUNT_PARTS
from basewarden.accounts.emails import Emails
from basewarden.accounts.errors import MfaRequired, ReauthRequired
from basewarden.accounts.github import GitHub, GitHubClient
from basewarden.accounts.github import pages as github_pages
from basewarden.accounts.github import routes as github_routes
from basewarden.accounts.passkeys import Passkeys
from basewarden.accounts.passkeys import pages as passkey_pages
from basewarden.accounts.passkeys import routes as passkey_routes
from basewarden.accounts.password import pages as password_pages
from basewarden.accounts.password import routes as password_routes
from basewarden.accounts.password.hashing import PasswordCost, Passwords
from basewarden.accounts.password.service import Accounts
from basewarden.accounts.profile import pages as profile_pages
from basewarden.accounts.profile import routes as profile_routes
from basewarden.accounts.profile.service import Profiles
from basewarden.accounts.pruning import HasTies, list_account_pruners, list_people_pruners
from basewarden.accounts.reauth import pages as reauth_pages
from basewarden.accounts.reauth import routes as reauth_routes
from basewarden.accounts.reauth.service import Reauth
from basewarden.accounts.recovery import pages as recovery_pages
from basewarden.accounts.recovery import routes as recovery_routes
from basewarden.accounts.recovery.service import Resets
from basewarden.accounts.return_path import confirm_path, second_step_path, signin_path
from basewarden.accounts.settings_pages import list_settings_pages
from basewarden.accounts.signin import pages as signin_pages
from basewarden.accounts.signin import routes as signin_routes
from basewarden.accounts.signin.devices import Devices
from basewarden.accounts.signin.opening import SessionOpener
from basewarden.accounts.signin.session_list import SessionList
from basewarden.accounts.signin.sessions import SignInSessions
from basewarden.accounts.signup.browsers import SignUpBrowsers
from basewarden.accounts.signup.service import LinkSignIns
from basewarden.accounts.twofactor import Clock, TwoFactor
from basewarden.accounts.twofactor import pages as two_factor_pages
from basewarden.accounts.twofactor import routes as two_factor_routes
from basewarden.accounts.verification import pages as verification_pages
from basewarden.accounts.verification import routes as verification_routes
from basewarden.accounts.verification.email_change import EmailChange
from basewarden.accounts.verification.service import Verification
from basewarden.audit import Audit
from basewarden.db import Database, Listener, Pruner
from basewarden.errors import Unauthenticated
from basewarden.jobs import Jobs
from basewarden.mail import Mail
from basewarden.settings import Settings
from basewarden.vault import Vault
from basewarden.web import Pages, Registry, SignInPaths

ROUTERS = (
    password_routes.router,
    password_pages.router,
    signin_routes.router,
    signin_pages.router,
    recovery_routes.router,
    recovery_pages.router,
    verification_routes.router,
    verification_pages.router,
    two_factor_routes.router,
    two_factor_pages.router,
    passkey_routes.router,
    passkey_pages.router,
    github_routes.router,
    github_pages.router,
    profile_routes.router,
    profile_pages.router,
    reauth_routes.router,
    reauth_pages.router,
    data_routes.router,
    data_pages.router,
)


SIGN_IN_PATHS: SignInPaths = {
    MfaRequired: second_step_path,
    ReauthRequired: confirm_path,
    Unauthenticated: signin_path,
}


def wire(registry: Registry, *, limits: AccountLimits, cost: PasswordCost, clock: Clock) -> None:
    _add_shared(registry)
    _add_passwords(registry, limits, cost)
    _add_two_factor(registry, limits, clock)
    _add_passkeys(registry, limits)
    _add_github(registry, limits)
    _add_settings(registry)


def wire_personal_data(
    registry: Registry, *, parts: Sequence[ExportPart], erasure_handlers: Sequence[ErasureHandler]
) -> None:
    """Export and deletion; the parts and handlers are those of the features above."""
    database, emails, audit = registry.get(Database), registry.get(Emails), registry.get(Audit)
    registry.add(
        Export(
            database=database,
            attempts=registry.get(Attempts),
            emails=emails,
            audit=audit,
            parts=(*ACCOUNT_PARTS, *parts),
        )
    )
    registry.add(
        Deletions(
            database=database,
            signins=registry.get(SignInSessions),
            emails=emails,
            audit=audit,
            jobs=registry.get(Jobs),
            erasure_handlers=erasure_handlers,
        )
    )


def list_pruners(registry: Registry, ties: Sequence[HasTies]) -> tuple[Pruner, ...]:
    """A person with ties to a feature above is not deleted as an abandoned sign-up."""
    settings = registry.get(Settings)
    signups = timedelta(days=settings.keep_signups_days)
    return (
        *list_people_pruners(registry.get(Deletions), registry.get(Emails), keep_signups=signups, ties=ties),
        *list_account_pruners(keep_signins=timedelta(days=settings.keep_signins_days)),
    )


def _add_shared(registry: Registry) -> None:
    settings, database = registry.get(Settings), registry.get(Database)
    registry.add(Attempts(database, settings.secret))
    registry.add(SignInSessions(database, registry.get(Listener), settings))
    registry.add(Devices(settings, settings.secret))
    registry.add(SignUpBrowsers(settings.secret))
    emails = registry.add(Emails(registry.get(Mail), settings))
    names = registry.get(Pages).environment.globals
    names["has_github"] = settings.has_github
    names["settings_pages"] = list_settings_pages(has_github=settings.has_github, has_billing=settings.has_billing)
    names["can_use_passkeys"] = settings.can_use_passkeys
    names["sends_emails"] = emails.is_configured


def _add_passwords(registry: Registry, limits: AccountLimits, cost: PasswordCost) -> None:
    settings, database, signins = registry.get(Settings), registry.get(Database), registry.get(SignInSessions)
    attempts, emails, audit = registry.get(Attempts), registry.get(Emails), registry.get(Audit)
    constant_time_jobs = ConstantTimeJobs(registry.get(Jobs), registry.get(Vault))
    passwords = registry.add(Passwords(cost))
    email_change = registry.add(
        EmailChange(signins=signins, attempts=attempts, limits=limits, emails=emails, audit=audit, settings=settings)
    )
    verification = registry.add(
        Verification(
            signins=signins,
            attempts=attempts,
            limits=limits,
            emails=emails,
            email_change=email_change,
            audit=audit,
            settings=settings,
        )
    )
    opener = SessionOpener(signins=signins, emails=emails, audit=audit)
    registry.add(LinkSignIns(verification=verification, browsers=registry.get(SignUpBrowsers), opener=opener))
    registry.add(
        Accounts(
            database=database,
            passwords=passwords,
            signins=signins,
            attempts=attempts,
            limits=limits,
            emails=emails,
            verification=verification,
            constant_time_jobs=constant_time_jobs,
            audit=audit,
            devices=registry.get(Devices),
        )
    )
    registry.add(
        Resets(
            database=database,
            passwords=passwords,
            signins=signins,
            attempts=attempts,
            limits=limits,
            emails=emails,
            constant_time_jobs=constant_time_jobs,
            audit=audit,
            settings=settings,
        )
    )


def _add_two_factor(registry: Registry, limits: AccountLimits, clock: Clock) -> None:
    registry.add(
        TwoFactor(
            database=registry.get(Database),
            vault=registry.get(Vault),
            passwords=registry.get(Passwords),
            signins=registry.get(SignInSessions),
            accounts=registry.get(Accounts),
            attempts=registry.get(Attempts),
            audit=registry.get(Audit),
            emails=registry.get(Emails),
            limits=limits,
            clock=clock,
        )
    )


def _add_passkeys(registry: Registry, limits: AccountLimits) -> None:
    registry.add(
        Passkeys(
            database=registry.get(Database),
            signins=registry.get(SignInSessions),
            attempts=registry.get(Attempts),
            emails=registry.get(Emails),
            audit=registry.get(Audit),
            settings=registry.get(Settings),
            limits=limits,
        )
    )


def _add_github(registry: Registry, limits: AccountLimits) -> None:
    registry.add(
        GitHub(
            database=registry.get(Database),
            client=GitHubClient(registry.get(Settings)),
            signins=registry.get(SignInSessions),
            attempts=registry.get(Attempts),
            emails=registry.get(Emails),
            audit=registry.get(Audit),
            limits=limits,
        )
    )


def _add_settings(registry: Registry) -> None:
    signins, audit = registry.get(SignInSessions), registry.get(Audit)
    registry.add(Profiles(signins=signins, audit=audit, github=registry.get(GitHub)))
    registry.add(SessionList(signins=signins, audit=audit))
    registry.add(Reauth(accounts=registry.get(Accounts), signins=signins, audit=audit))
