"""Errors of signing in with GitHub. Pages get the code in their query string."""

from basewarden.errors import AppError, TooMany


class GitHubError(AppError):
    """The base class. The browser is redirected to a page that shows the message."""

    status = 400
    code = "github_failed"
    message = "Signing in with GitHub failed, and nothing was changed. Try again."


class GitHubDenied(GitHubError):
    code = "github_denied"
    message = "You did not authorize Basewarden at GitHub. Nothing was changed."


class GitHubStale(GitHubError):
    """Started in another browser, by another person, used already, or expired: an attacker cannot tell which."""

    code = "github_stale"
    message = "This sign-in was not started in this browser, or it took too long. Try again."


class GitHubDown(GitHubError):
    status = 502
    code = "github_down"
    message = "GitHub returned an error. Try again in a minute, or sign in another way."


class NoVerifiedEmail(GitHubError):
    status = 409
    code = "github_no_email"
    message = "Your GitHub account has no verified primary email address. Verify one there, then try again."


class EmailHasAccount(GitHubError):
    """Shown only to a person whose address GitHub has verified, so it reveals nothing to others."""

    status = 409
    code = "github_has_account"
    message = "Your GitHub email address already has an account here. Sign in to it, then link GitHub in its settings."


class LinkedElsewhere(GitHubError):
    status = 409
    code = "github_taken"
    message = "This GitHub account is linked to another account here. Unlink it there, or choose another at GitHub."


class LinkedToAnother(GitHubError):
    status = 409
    code = "github_other_linked"
    message = "Another GitHub account is already linked. Unlink it first."


class NotTheLinkedOne(GitHubError):
    status = 403
    code = "github_not_linked"
    message = "This is not the linked GitHub account. Choose the linked one at GitHub."


ERROR_MESSAGES: dict[str, str] = {
    error.code: error.message
    for error in (
        GitHubError,
        GitHubDenied,
        GitHubStale,
        GitHubDown,
        NoVerifiedEmail,
        EmailHasAccount,
        LinkedElsewhere,
        LinkedToAnother,
        NotTheLinkedOne,
        TooMany,
    )
}
"""The message of each code that a page may get in its query string."""
