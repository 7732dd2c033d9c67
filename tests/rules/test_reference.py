"""The reference pages name every error and every setting, and nothing that is gone."""

import gc
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from basewarden.errors import AppError
from basewarden.settings import Settings
from pgrest.settings import SETTINGS
from scripts.reference import (
    CHECKOUT,
    ERRORS_PAGE,
    REST_PAGE,
    list_codes,
    list_errors,
    make_errors_table,
    make_rest_table,
    put_table,
)
from scripts.references import PAGES
from scripts.routes_reference import PAGE as ROUTES_PAGE

SETTINGS_PAGE = ERRORS_PAGE.parent / "settings.md"
BUDGETS_PAGE = ERRORS_PAGE.parent / "budgets.md"
SHARED = {"write_conflict": "a race for the same rows was lost, by a write or by an undo"}
ANY_NAME = re.compile(r"`([A-Z]+_[A-Z_]+)`")
ANY_CODE = re.compile(r"\b[45]\d\d `([a-z_]+)`")
ROW_NAME = re.compile(r"^\| `([A-Z_]+)` \|", re.MULTILINE)


def find_shared_codes(errors: Iterable[type[AppError]]) -> list[str]:
    """A client tells errors apart by their codes: each class states one of its own."""
    counts = Counter(error.code for error in errors)
    return sorted(code for code, count in counts.items() if count > 1 and code not in SHARED)


def list_aliases() -> set[str]:
    return {field.alias or name for name, field in Settings.model_fields.items()}


@pytest.fixture
def forgets_classes() -> Iterator[None]:
    """A class exists, and is listed with all errors, until the collector finds it."""
    yield
    gc.collect()


def test_every_error_has_a_code_of_its_own() -> None:
    errors = list_errors()
    assert len(errors) > 15
    assert find_shared_codes(errors) == []


@pytest.mark.usefixtures("forgets_classes")
def test_a_shared_code_is_found() -> None:
    class Gone(AppError):
        status, code, message = 410, "gone", "It is gone."

    class LongGone(Gone):
        message = "It is long gone."

    assert find_shared_codes([Gone, LongGone]) == ["gone"]


@pytest.mark.usefixtures("forgets_classes")
def test_an_error_without_a_code_cannot_be_defined() -> None:
    with pytest.raises(TypeError, match="must state its code"):
        type("Nameless", (AppError,), {"status": 400, "message": "?"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_a_page_is_up_to_date(page: Path) -> None:
    assert page.read_text() == PAGES[page](), "run .venv/bin/python -m scripts.references"


def test_every_route_declares_its_callers() -> None:
    assert "nothing is declared" not in ROUTES_PAGE.read_text()


def test_the_settings_page_names_each_setting_once() -> None:
    named = ROW_NAME.findall(SETTINGS_PAGE.read_text())
    assert sorted(named) == sorted(list_aliases())


def test_the_budgets_page_names_only_settings_and_codes_that_exist() -> None:
    page = BUDGETS_PAGE.read_text()
    assert set(ANY_NAME.findall(page)) - list_aliases() == set()
    codes = {code for _, code in list_codes()}
    assert len(set(ANY_CODE.findall(page))) > 5
    assert set(ANY_CODE.findall(page)) - codes == set()


def test_every_budget_that_is_a_setting_is_on_the_page() -> None:
    page = BUDGETS_PAGE.read_text()
    named = set(ANY_NAME.findall(page))
    budgets = {name for name in list_aliases() if "_MAX_" in name or name.endswith("_SECONDS")}
    assert budgets - named == set()


def test_a_fallen_behind_page_is_noticed() -> None:
    page = ERRORS_PAGE.read_text()
    assert put_table(page, make_errors_table(list_errors()[1:])) != page
    page = REST_PAGE.read_text()
    assert put_table(page, make_rest_table(SETTINGS[1:])) != page
