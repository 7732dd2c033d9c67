"""Which passwords are refused, and with which sentence."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import pytest

from basewarden.accounts.password.strength import find_weakness
from basewarden.core.secret import Secret
from tests.fixtures.app import PASSWORD


def find_problem(
    password: str, *, email: str = "anna.lena@shop.example.com", name: str = "Anna of the Valley"
) -> str | None:
    return find_weakness(Secret(password), email=email, name=name)


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "correct horse battery staple",
        "Tr0ub4dor&3",
        "Anna walks far",
        "🦊🐻🐼🐨🐯🦁🐮🐷",
        "sunshine8391746281",  # the digits alone are a secret
        "11 red cats",
        "x" * 3 + "quiet lake",
    ],
)
def test_strong_ones_are_taken(password: str) -> None:
    assert find_problem(password) is None


@pytest.mark.parametrize("password", ["short12", "", "é" * 7])
def test_short_ones_are_refused(password: str) -> None:
    assert "at least 8" in (find_problem(password) or "")


def test_decomposed_characters_count_once() -> None:
    assert "at least 8" in (find_problem("e\u0301" * 7) or "")


def test_what_is_too_long_is_refused_and_not_cut() -> None:
    assert "at most 1024" in (find_problem("ab cde" * 171) or "")


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "PassWord",
        "password1",
        "Password2024!",
        "!!sunshine!!",
        "12345678",
        "qwertyuiop",
        "iloveyou",
        "P@ssw0rd99",
        "butterfly 7",
        "trustno1",
        "1qaz2wsx",
        "moonbeams",
        "P@ssw0rd 24",
    ],
)
def test_common_ones_are_refused_dressed_up_too(password: str) -> None:
    assert "lists of common passwords" in (find_problem(password) or "")


@pytest.mark.parametrize(
    "password",
    [
        "basewarden",
        "Basewarden1!",
        "basewarden-shop",
        "anna.lena@shop.example.com",
        "annalena",
        "Anna-Lena85",
        "anna of the valley",
        "ValleyAnna1",
        "example.shop",
    ],
)
def test_words_of_the_account_are_refused(password: str) -> None:
    assert "your name, your email address" in (find_problem(password) or "")


@pytest.mark.parametrize(
    "password", ["zzzzzzzz", "xyxyxyxyxy", "k7!kk7!kk7!k", "ghijklmn", "nmlkjihg", "zzzzzyyyyy", "lkjhgfdsa;"]
)
def test_patterns_are_refused(password: str) -> None:
    assert find_problem(password) is not None


def test_short_parts_of_a_name_are_no_reason() -> None:
    assert find_problem("of the lake", email="al@io.example", name="Al Of The") is None


def test_it_is_quick_with_the_longest() -> None:
    assert find_problem("ab1" * 341, name="x" * 120) is not None


@pytest.mark.parametrize("length", [14, 16, 20, 40, 72, 1024])
def test_leetspeak_is_estimated_in_few_steps(length: int) -> None:
    """zxcvbn itself makes more than 4,000 calls for 16 of these: it tries every reading of every sign."""
    password = ("4@8({[<369!1|0$5+7%2" * 60)[:length]
    assert find_problem(password) is None  # imports zxcvbn, if it is the first
    assert count_calls(lambda: find_problem(password)) < 3_000


def count_calls(work: Callable[[], object]) -> int:
    calls = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def test_each_account_has_its_own_personal_words() -> None:
    """zxcvbn keeps personal words in a global, and passwords are checked in several threads."""
    names = [f"Marigold{number}" for number in range(8)] * 4
    with ThreadPoolExecutor(8) as pool:
        own = list(pool.map(lambda name: find_problem(f"{name}!", name=name), names))
        others = list(pool.map(lambda name: find_problem("Xerophyte 73 kiln", name=name), names))
    assert all("your name" in (weakness or "") for weakness in own)
    assert set(others) == {None}
