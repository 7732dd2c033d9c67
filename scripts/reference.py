"""The tables of `docs/` about errors and settings, for `scripts/references.py`."""

import inspect
import re
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import basewarden
from basewarden.errors import AppError
from pgrest import errors as pgrest_errors
from pgrest.settings import SETTINGS, Setting

CHECKOUT = Path(__file__).resolve().parent.parent
DOCS = CHECKOUT / "docs"
ERRORS_PAGE = DOCS / "reference" / "errors.md"
REST_PAGE = DOCS / "rest.md"
BEGIN, END = "<!-- table: scripts/references.py writes it -->", "<!-- end of table -->"
PROGRAMS = ("__main__", "env", "versions")  # importing these runs something
NEEDS_CLIENTS = ("basewarden.demo",)
_MADE = re.compile(r"PgrestError\((\d+), \"([a-z_]+)\"")


def list_errors() -> list[type[AppError]]:
    """Lists every error that the product can answer with, by status and code."""
    for module in walk_packages(basewarden.__path__, "basewarden."):
        if module.name.split(".")[-1] not in PROGRAMS and not module.name.startswith(NEEDS_CLIENTS):
            import_module(module.name)
    ours = (kind for kind in _descendants(AppError) if kind.__module__.startswith("basewarden."))
    return sorted(ours, key=lambda kind: (kind.status, kind.code, kind.__name__))


def list_codes() -> set[tuple[int, str]]:
    """Lists every status and code of an error, including errors that have no class of their own."""
    made = _MADE.findall(inspect.getsource(pgrest_errors))
    return {(error.status, error.code) for error in list_errors()} | {(int(status), code) for status, code in made}


def _descendants(kind: type[AppError]) -> set[type[AppError]]:
    children = set(kind.__subclasses__())
    return children.union(*map(_descendants, children))


def make_errors_table(errors: list[type[AppError]]) -> str:
    lines = ["| status | code | message |", "|---|---|---|"]
    lines += [f"| {error.status} | `{error.code}` | {error.message} |" for error in errors]
    return "\n".join(dict.fromkeys(lines))


def make_rest_table(settings: Iterable[Setting]) -> str:
    """The settings of `basewarden rest`."""
    lines = ["| name | default | meaning | database | reloads |", "|---|---|---|---|---|"]
    for one in settings:
        known = ", or ".join(f"`{name}`" for name in (one.name, *one.aliases))
        marks = " | ".join("yes" if mark else "" for mark in (one.in_database, one.reloads))
        lines.append(f"| {known} | {one.default} | {one.meaning} | {marks} |")
    return "\n".join(lines)


def put_table(page: str, table: str) -> str:
    """Returns the page with the text between its marks replaced."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table}\n{END}{tail}"


def make_errors_page() -> str:
    return put_table(ERRORS_PAGE.read_text(), make_errors_table(list_errors()))


def make_rest_page() -> str:
    return put_table(REST_PAGE.read_text(), make_rest_table(SETTINGS))
