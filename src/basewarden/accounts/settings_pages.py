"""The pages of a person's settings, as their tabs, the sidebar and the palette list them."""

from dataclasses import dataclass, replace

from basewarden.accounts.return_path import SETTINGS


@dataclass(frozen=True, slots=True)
class SettingsPage:
    """`key` is the `settings_tab` of the page. The palette shows `title` and also finds the page by `keywords`.

    A page that is not listed is there by its address only.
    """

    key: str
    name: str
    title: str
    path: str
    icon: str
    keywords: str
    is_listed: bool = True


_PAGES = (
    SettingsPage("account", "Account", "Your account", SETTINGS, "person", "name email password"),
    SettingsPage(
        "2fa", "Two-factor", "Two-factor authentication", f"{SETTINGS}/2fa", "lock", "2fa totp recovery codes"
    ),
    SettingsPage("passkeys", "Passkeys", "Passkeys", f"{SETTINGS}/passkeys", "key", "webauthn security key"),
    SettingsPage("github", "GitHub", "GitHub account", f"{SETTINGS}/github", "branch", "link sign in oauth"),
    SettingsPage(
        "sessions",
        "Active sessions",
        "Active sessions",
        f"{SETTINGS}/sessions",
        "screen",
        "devices sign out everywhere",
    ),
    SettingsPage(
        "activity",
        "Activity",
        "Account activity",
        f"{SETTINGS}/activity",
        "list",
        "audit log security events",
    ),
    SettingsPage("data", "Your data", "Your data", f"{SETTINGS}/data", "down", "export download delete account gdpr"),
    SettingsPage("billing", "Billing", "Billing", "/settings/billing", "card", "plan payment invoice"),
)


def list_settings_pages(*, has_github: bool, has_billing: bool) -> tuple[SettingsPage, ...]:
    """Where nothing is sold, the page that says so is not listed."""
    pages = (page for page in _PAGES if has_github or page.key != "github")
    return tuple(replace(page, is_listed=has_billing or page.key != "billing") for page in pages)
