"""What can go wrong on the way to GitHub and back. The code is also the word that a page is shown with."""

from basewarden.errors import AppError, TooMany


class GitHubTrouble(AppError):
    """The base: the way ends on a page that says why, never in an error body."""

    status = 400
    code = "github_failed"
    message = "Signing in with GitHub did not work. Nothing has changed. Try again."


class GitHubDenied(GitHubTrouble):
    code = "github_denied"
    message = "You did not let GitHub say who you are. Nothing has changed."


class GitHubStale(GitHubTrouble):
    """Not begun in this browser, begun by somebody else, used already, or too old: whoever guesses learns nothing."""

    code = "github_stale"
    message = "This was not begun in this browser, or it took too long. Try again."


class GitHubDown(GitHubTrouble):
    status = 502
    code = "github_down"
    message = "GitHub did not answer as it should. Try again in a minute, or sign in another way."


class NoVerifiedEmail(GitHubTrouble):
    status = 409
    code = "github_no_email"
    message = "GitHub knows no confirmed primary e-mail address of yours. Confirm one there, then try again."


class EmailHasAccount(GitHubTrouble):
    """Said only to whom GitHub's verified address shows to be its owner."""

    status = 409
    code = "github_has_account"
    message = (
        "Your GitHub e-mail address has an account here. Sign in to it as before, then link GitHub in its settings."
    )


class LinkedElsewhere(GitHubTrouble):
    status = 409
    code = "github_taken"
    message = "This GitHub account opens another account here. Unlink it there first, or choose another one at GitHub."


class LinkedToAnother(GitHubTrouble):
    status = 409
    code = "github_other_linked"
    message = "Another GitHub account is linked already. Unlink it first."


class NotTheLinkedOne(GitHubTrouble):
    status = 403
    code = "github_not_linked"
    message = "This is not the GitHub account that is linked here. Choose the other one at GitHub."


TROUBLES: dict[str, str] = {
    trouble.code: trouble.message
    for trouble in (
        GitHubTrouble,
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
"""The sentence of each word that a page can be shown with."""
