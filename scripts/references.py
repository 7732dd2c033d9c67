"""Writes what `docs/` says about the code from the code: `.venv/bin/python -m scripts.references`.

`tests/rules/test_reference.py` fails when a page is out of date.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from scripts import api_reference, reference, routes_reference

PAGES: Final[Mapping[Path, Callable[[], str]]] = {
    api_reference.PAGE: api_reference.make_page,
    reference.ERRORS_PAGE: reference.make_errors_page,
    reference.REST_PAGE: reference.make_rest_page,
    routes_reference.PAGE: routes_reference.make_page,
}
"""Each with what it should be now."""


def main() -> None:
    for page, make in PAGES.items():
        text = make()
        is_new = text != page.read_text()
        page.write_text(text)
        print(page.relative_to(reference.CHECKOUT), "written" if is_new else "was up to date")


if __name__ == "__main__":
    main()
