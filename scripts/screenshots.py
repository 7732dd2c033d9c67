"""Takes screenshots of a running demo: `python scripts/screenshots.py OUTDIR ORIGIN EMAIL PASSWORD [PAGE ...]`.

Of the named pages, such as `sessions refusals`, else of every page: light and dark, wide and narrow. The page's name,
the theme and the width make the file's name.
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

WIDTHS = {"wide": (1280, 800), "narrow": (390, 844)}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SIGNED_OUT = {
    "landing": "/",
    "signin": "/signin",
    "signup": "/signup",
    "forgot": "/forgot",
    "status": "/status",
    "contact": "/contact",
    "docs": "/docs",
    "docs-guide": "/docs/guide",
    "docs-sentry": "/docs/sentry",
    "docs-search": "/docs/search?q=undo",
    "docs-api": "/docs/api",
    "docs-api-sessions": "/docs/api/sessions",
    "bad-link": "/reset/made-up",
    "bad-invitation": "/invitations/made-up",
    "missing": "/nothing",
}
SETTINGS = {
    "account": "/settings/account",
    "account-2fa": "/settings/account/2fa",
    "account-passkeys": "/settings/account/passkeys",
    "account-sessions": "/settings/account/sessions",
    "account-activity": "/settings/account/activity",
    "account-data": "/settings/account/data",
    "account-delete": "/settings/account/delete",
    "billing": "/settings/billing",
    "account-confirm": "/settings/account/confirm",
}


@dataclass(frozen=True)
class Account:
    origin: str
    email: str
    password: str


async def main(folder: Path, account: Account, names: Sequence[str]) -> None:
    async with open_browser() as browser:
        state = await sign_in(browser, account)
        for theme in THEMES:
            for width, (pixels, height) in WIDTHS.items():
                options: dict[str, Any] = {
                    "base_url": account.origin,
                    "color_scheme": theme,
                    "viewport": {"width": pixels, "height": height},
                }
                name = f"{theme}-{width}"
                async with (
                    await browser.new_context(**options) as signed_out,
                    await browser.new_context(**options, storage_state=state) as signed_in,
                ):
                    pages = await list_pages(signed_in)
                    check_names(names, [*SIGNED_OUT, *pages])
                    await take(signed_out, choose(SIGNED_OUT, names), folder, name)
                    await take(signed_in, choose(pages, names), folder, name)


def check_names(names: Sequence[str], known: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"There is no page {', '.join(unknown)}. The pages are: {', '.join(known)}.")


def choose(pages: dict[str, str], names: Sequence[str]) -> dict[str, str]:
    """The named pages; all where no name is given."""
    return {name: path for name, path in pages.items() if not names or name in names}


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    async with async_playwright() as playwright:
        program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


async def sign_in(browser: Browser, account: Account) -> Any:
    async with await browser.new_context(base_url=account.origin) as context:
        credentials = {"email": account.email, "password": account.password}
        answer = await context.request.post("/api/auth/signin", data=credentials)
        if not answer.ok:
            raise SystemExit(f"signing in answered {answer.status}")
        return await context.storage_state()


async def list_pages(context: BrowserContext) -> dict[str, str]:
    """Lists every page of the first connection, with one of its tables, rows and sessions."""
    connections = await read_json(context, "/api/connections")
    home = f"/c/{connections['connections'][0]['id']}"
    data = f"{home}/data"
    pages = {
        "connections": "/connections",
        "connection-new": "/connections/new",
        "home": home,
        "tables": data,
        "grid": f"{data}/public.products?sort=name",
        "grid-filtered": f"{data}/public.orders?column=status&operator=eq&value=paid&columns=id&columns=customer_id"
        "&columns=status&columns=placed_at",
        "row-new": f"{data}/public.products/+new",
        "row": f"{data}/public.products/1",
        "row-delete": f"{data}/public.products/+delete?key=1",
        "agents": f"{home}/agents",
        "agent-new": f"{home}/agents/new",
        "proposals": f"{home}/proposals",
        "refusals": f"{home}/refusals",
        "sentry": f"{home}/sentry",
        "sentry-scans": f"{home}/sentry/scans",
        "sentry-leaks": f"{home}/sentry/leaks",
        "row-security-tables": f"{home}/sentry/tables",
        "row-security": f"{home}/sentry/tables/public.orders",
        "quarantines": f"{home}/sentry/quarantines",
        "schema": f"{home}/schema",
        "alerts": f"{home}/alerts",
        "alert-new": f"{home}/alerts/new",
        "sessions": f"{home}/sessions",
        "guard": f"{home}/guard",
        "guard-table": f"{home}/guard/table?name=customers",
        "members": f"{home}/members",
        "member-leave": f"{home}/members/leave",
        "member-approvals": f"{home}/members/approvals",
        "settings": f"{home}/settings",
        "delete": f"{home}/delete",
    }
    api = f"/api{home.replace('/c/', '/connections/')}"
    agents = await read_json(context, f"{api}/agents")
    if agents["agents"]:
        pages["agent"] = f"{home}/agents/{agents['agents'][0]['id']}"
        for action in ("edit", "rotate", "freeze"):
            pages[f"agent-{action}"] = f"{pages['agent']}/{action}"
    findings = await read_json(context, f"{api}/sentry/findings")
    if findings["findings"]:
        pages["finding"] = f"{home}/sentry/{findings['findings'][0]['id']}"
        for action in ("acknowledge", "fix", "quarantine"):
            pages[f"finding-{action}"] = f"{pages['finding']}/{action}"
    scans = await read_json(context, f"{api}/sentry/scans")
    if scans["scans"]:
        pages["sentry-scan"] = f"{home}/sentry/scans/{scans['scans'][0]['id']}"
    alerts = await read_json(context, f"{api}/alerts")
    if alerts["alerts"]:
        pages["alert"] = f"{home}/alerts/{alerts['alerts'][0]['id']}"
    sessions = await read_json(context, f"{api}/sessions")
    if sessions["sessions"]:
        session = f"{home}/sessions/{sessions['sessions'][0]['id']}"
        pages |= {"session": session, "session-undo": f"{session}/undo"}
    proposals = await read_json(context, f"{api}/proposals")
    if proposals["proposals"]:
        proposal = proposals["proposals"][0]["id"]
        pages |= {
            "proposal": f"{home}/proposals/{proposal}",
            "proposal-decline": f"{home}/proposals/decline?id={proposal}",
        }
    members = await read_json(context, f"{api}/members")
    others = [one["userId"] for one in members["members"] if one["role"] != "owner"]
    if others:
        pages |= {f"member-{name}": f"{home}/members/{others[0]}/{name}" for name in ("role", "remove", "owner")}
    return pages | SETTINGS


async def read_json(context: BrowserContext, path: str) -> Any:
    return await (await context.request.get(path)).json()


async def take(context: BrowserContext, pages: dict[str, str], folder: Path, ending: str) -> None:
    page = await context.new_page()
    for name, path in pages.items():
        await page.goto(path, wait_until="networkidle")
        await page.screenshot(path=folder / f"{name}-{ending}.png", full_page=not await has_grid(page))


async def has_grid(page: Page) -> bool:
    """A grid scrolls by itself; the rest of the page is captured to its end."""
    return await page.locator("table[data-grid]").count() > 0


def read_arguments(arguments: Sequence[str]) -> tuple[Path, Account, Sequence[str]]:
    if len(arguments) < 4:
        raise SystemExit(__doc__)
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    return folder, Account(*arguments[1:4]), arguments[4:]


if __name__ == "__main__":
    asyncio.run(main(*read_arguments(sys.argv[1:])))
