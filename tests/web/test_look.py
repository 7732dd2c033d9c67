"""What stands for an agent, and where the points of a small chart are."""

import pytest

from basewarden.web.avatars import HUES, choose_hue, make_initials
from basewarden.web.charts import place_points


@pytest.mark.parametrize(
    ("name", "initials"),
    [
        ("price-bot", "PB"),
        ("Ann Lee", "AL"),
        ("demo", "DE"),
        ("ann.lee@example.com", "AL"),
        ("@", "?"),
        ("", "?"),
        ("x", "X"),
        ("\u00e9t\u00e9", "\u00c9T"),
    ],
)
def test_initials(name: str, initials: str) -> None:
    assert make_initials(name) == initials


def test_a_name_has_one_colour_and_names_share_them_out() -> None:
    names = [f"agent-{number}" for number in range(200)]
    assert {choose_hue(name) for name in names} == set(range(1, HUES + 1))
    assert [choose_hue(name) for name in names] == [choose_hue(name) for name in names]


def test_a_line_goes_from_edge_to_edge_with_the_largest_value_on_top() -> None:
    assert place_points([0, 5, 10]) == "0,23 50,12 100,1"
    assert place_points([4]) == "0,1 100,1"
    assert place_points([0, 0]) == "0,23 100,23"
