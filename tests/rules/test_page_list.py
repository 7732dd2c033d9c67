"""Every page is in the list that the tests of all pages open."""

import re
from collections.abc import Iterable

from fastapi import APIRouter
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import compile_path

from basewarden.demo import DEMO_ROUTERS
from basewarden.web import list_routes
from tests.fixtures.page_list import NO_PAGES, list_paths
from tests.rules.test_callers import make_product

_PARAMETER = re.compile(r"\{[^}]*\}")
WITHOUT_PAGE = {"/signout": "/"}
"""Addresses of forms that many pages have; they lead to the first page."""


def list_page_routes(method: str, *routers: APIRouter) -> list[str]:
    """The paths of all routes of this method that are no part of the API's description, in the order of routing."""
    _, api = make_product()
    routes = [*iter_route_contexts(list_routes(*DEMO_ROUTERS, *routers)), *iter_route_contexts(api.routes)]
    return [route.path or "" for route in routes if is_of_pages(route, method)]


def is_of_pages(route: RouteContext, method: str) -> bool:
    return method in (route.methods or ()) and not (route.path or "").startswith(("/api/", "/metrics"))


def find_unlisted(routes: list[str], paths: Iterable[str]) -> list[str]:
    """The routes that answer none of the paths."""
    patterns = [(route, compile_path(route)[0]) for route in routes]
    answering = {next((route for route, pattern in patterns if pattern.match(path)), "") for path in paths}
    return sorted(set(routes) - answering)


def test_every_page_is_listed() -> None:
    routes = list_page_routes("GET")
    assert len(routes) > 40
    assert find_unlisted(routes, list_paths()) == sorted(NO_PAGES)


def test_a_page_that_is_missing_is_found() -> None:
    router = APIRouter()

    @router.get("/forgotten/{name}")
    async def get_forgotten(name: str) -> None: ...

    routes = list_page_routes("GET", router)
    assert "/forgotten/{name}" in find_unlisted(routes, list_paths())
    assert "/forgotten/{name}" not in find_unlisted(routes, [*list_paths(), "/forgotten/7"])


def find_above(path: str, pages: Iterable[str]) -> str:
    """The nearest page above a path, whatever stands for its parameters."""
    known = {_PARAMETER.sub("{}", page) for page in pages}
    above = _PARAMETER.sub("{}", path)
    while (above := above.rpartition("/")[0]) and above not in known:
        pass
    return above or "/"


def test_what_takes_only_a_form_is_below_the_page_that_has_it() -> None:
    """Its address stays in the address bar where it shows a page, and leads there when it is opened again."""
    pages = {path for path in list_page_routes("GET") if NO_PAGES.get(path, "redirects") == "redirects"}
    forms = {path for path in list_page_routes("POST") if path not in pages}
    assert len(forms) > 30
    parts = {_PARAMETER.sub("{}", path) for path in NO_PAGES if path not in pages}
    lost = {path: above for path in forms if (above := find_above(path, [*pages, *parts])) in {"/", *parts}}
    assert lost == WITHOUT_PAGE
