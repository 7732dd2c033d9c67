"""The pages of a person's settings, as their tabs, the sidebar and the palette list them."""

from dataclasses import dataclass

from basewarden.accounts.return_path import SETTINGS


@dataclass(frozen=True, slots=True)
class SettingsPage:
    """`key` is the `settings_tab` of the page. The palette shows `title` and also finds the page by `keywords`."""

    key: str
    name: str
    title: str
    path: str
    icon: str
    keywords: str


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
    absent = {key for key, is_there in (("github", has_github), ("billing", has_billing)) if not is_there}
    return tuple(page for page in _PAGES if page.key not in absent)
