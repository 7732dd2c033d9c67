"""The parts that CI runs beside each other are the whole."""

from pathlib import Path

from tests.fixtures.parts import deal


def test_each_file_is_dealt_once_and_the_parts_weigh_alike() -> None:
    weights = {Path(f"{number}.py"): float(number % 7 + 1) for number in range(40)}
    parts = deal(weights, 3)
    assert sorted(path for part in parts for path in part) == sorted(weights)
    loads = [sum(weights[path] for path in part) for part in parts]
    assert max(loads) - min(loads) <= 7


def test_dealing_is_the_same_whatever_the_order() -> None:
    weights = {Path(name): 1.0 for name in "abcd"}
    assert deal(weights, 2) == deal(dict(reversed(weights.items())), 2)
