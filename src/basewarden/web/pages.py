"""Renders pages with one Jinja environment, which is strict and escapes automatically."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from basewarden import __version__
from basewarden.web.arrays import read_array
from basewarden.web.avatars import choose_hue, make_initials
from basewarden.web.charts import place_points
from basewarden.web.civil_times import write_civil_time
from basewarden.web.highlight import highlight
from basewarden.web.rooms import ROOMS
from basewarden.web.shell import CONNECTION_COOKIE, find_connection_id
from basewarden.web.targets import read_path

_OWN_TEMPLATES = Path(__file__).parent / "templates"
_THEMES = ("light", "dark")
_PAUSE_SECONDS = 0.02
THEME_COOKIE = "basewarden.theme"
TABLES_COOKIE = "basewarden.tables"
"""Set by the script while a person has the list of tables beside a grid folded."""


class Pages:
    """`render(request, "accounts/signin.html", …)`; a feature's templates are found under its name."""

    def __init__(
        self, features: Mapping[str, Path], asset_url: Callable[[str], str], *, is_https: bool = False
    ) -> None:
        self._is_https = is_https
        self._folders = {name: FileSystemLoader(path) for name, path in features.items()}
        self.environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(_OWN_TEMPLATES), PrefixLoader(self._folders)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            enable_async=False,
        )
        self.environment.globals["asset_url"] = asset_url
        self.environment.globals["banner_template"] = None
        self.environment.globals["rooms"] = ROOMS
        self.environment.globals["version"] = __version__
        self.environment.filters["segment"] = lambda value: quote(str(value), safe="")
        self.environment.filters["plural"] = count_things
        self.environment.filters["initials"] = make_initials
        self.environment.filters["hue"] = choose_hue
        self.environment.filters["spark_points"] = place_points
        self.environment.filters["highlight"] = highlight
        self.environment.filters["array_items"] = read_array
        self.environment.filters["civil_time"] = write_civil_time

    def add_banner(self, name: str, path: Path, **values: Any) -> None:
        """Adds a folder of templates; its `banner.html` is shown above every page of a signed-in person."""
        self._folders[name] = FileSystemLoader(path)
        self.environment.globals.update({"banner_template": f"{name}/banner.html", **values})

    async def compile_templates(self) -> None:
        """One after the other, with time for requests between: together they take seconds."""
        for name in self.environment.list_templates(filter_func=_is_page):
            await asyncio.to_thread(self.environment.get_template, name)
            await asyncio.sleep(_PAUSE_SECONDS)

    def render(self, request: Request, template: str, *, status: int = HTTPStatus.OK, **context: Any) -> HTMLResponse:
        shell = {
            "request_path": read_path(request),
            "theme": find_theme(request),
            "are_tables_folded": request.cookies.get(TABLES_COOKIE) == "folded",
            "viewer": getattr(request.state, "viewer", None),
            "connections": getattr(request.state, "connections", ()),
            "connection": getattr(request.state, "connection", None),
            "role": getattr(request.state, "role", None),
            "counts": getattr(request.state, "counts", {}),
            "freeze": getattr(request.state, "freeze", None),
        }
        html = self.environment.get_template(template).render({**shell, "status": int(status), **context})
        response = HTMLResponse(html, status_code=status)
        self._remember_connection(request, response)
        return response

    def _remember_connection(self, request: Request, response: Response) -> None:
        """Other pages show the frame of the connection that was opened last."""
        opened = find_connection_id(read_path(request))
        shown = getattr(request.state, "connection", None)
        if shown is None or shown.id != opened or request.cookies.get(CONNECTION_COOKIE) == str(opened):
            return
        response.set_cookie(CONNECTION_COOKIE, str(opened), secure=self._is_https, httponly=True, samesite="lax")


def _is_page(name: str) -> bool:
    """Emails are rendered elsewhere, with filters of their own."""
    return name.endswith(".html") and "/emails/" not in name


def count_things(number: int, thing: str, things: str | None = None) -> str:
    """`1 row`, `2,203 rows`; `things` where an s is not enough."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


def find_theme(request: Request) -> str:
    theme = request.cookies.get(THEME_COOKIE, "")
    return theme if theme in _THEMES else "auto"


def redirect(path: str) -> Response:
    """Redirects with 303, so that a GET follows. Takes only paths of this site, never an address from a request."""
    if not path.startswith("/") or path.startswith(("//", "/\\")):
        raise ValueError("a redirect leads to a path of this site")
    return RedirectResponse(path, status_code=HTTPStatus.SEE_OTHER)
