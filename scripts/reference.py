"""Writes the tables of `docs/reference/` from the code: `python scripts/reference.py`.

`tests/rules/test_reference.py` fails when a page has fallen behind.
"""

from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import basewarden
from basewarden.errors import AppError

ERRORS_PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "errors.md"
BEGIN, END = "<!-- table: scripts/reference.py writes it -->", "<!-- end of table -->"
PROGRAMS = ("__main__", "env", "versions")  # importing these runs something
NEEDS_CLIENTS = ("basewarden.demo",)


def list_errors() -> list[type[AppError]]:
    """Every error that the product can answer with, by status and code."""
    for module in walk_packages(basewarden.__path__, "basewarden."):
        if module.name.split(".")[-1] not in PROGRAMS and not module.name.startswith(NEEDS_CLIENTS):
            import_module(module.name)
    ours = (kind for kind in _descendants(AppError) if kind.__module__.startswith("basewarden."))
    return sorted(ours, key=lambda kind: (kind.status, kind.code, kind.__name__))


def _descendants(kind: type[AppError]) -> set[type[AppError]]:
    children = set(kind.__subclasses__())
    return children.union(*map(_descendants, children))


def make_errors_table(errors: list[type[AppError]]) -> str:
    lines = ["| status | code | message |", "|---|---|---|"]
    lines += [f"| {error.status} | `{error.code}` | {error.message} |" for error in errors]
    return "\n".join(dict.fromkeys(lines))


def put_table(page: str, table: str) -> str:
    """The page with what stands between its marks replaced."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table}\n{END}{tail}"


def main() -> None:
    ERRORS_PAGE.write_text(put_table(ERRORS_PAGE.read_text(), make_errors_table(list_errors())))


if __name__ == "__main__":
    main()
