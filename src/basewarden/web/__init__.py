"""The ASGI floor that every feature stands on: edge, callers, pages, errors. Knows no feature."""

from basewarden.web.callers import CallerKind, anyone, callers
from basewarden.web.context import RequestContext, request_context
from basewarden.web.cookies import clear_cookie, session_cookie_name, set_cookie
from basewarden.web.dependencies import DatabaseDep, PagesDep, SettingsDep
from basewarden.web.edge import Edge
from basewarden.web.forms import parse_form
from basewarden.web.pages import Pages, redirect
from basewarden.web.registry import Registry, inject
from basewarden.web.responses import error_body, send_error
from basewarden.web.schemas import RequestBody, ResponseBody
from basewarden.web.shell import Shell
from basewarden.web.units import Reading, Writing

__all__ = [
    "CallerKind",
    "DatabaseDep",
    "Edge",
    "Pages",
    "PagesDep",
    "Reading",
    "Registry",
    "RequestBody",
    "RequestContext",
    "ResponseBody",
    "SettingsDep",
    "Shell",
    "Writing",
    "anyone",
    "callers",
    "clear_cookie",
    "error_body",
    "inject",
    "parse_form",
    "redirect",
    "request_context",
    "send_error",
    "session_cookie_name",
    "set_cookie",
]
