"""Likeness of names, against the table that one would draw by hand."""

import random

from pgrest.query.suggestions import closest, edit_distance


def draw_table(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for number, char in enumerate(one, 1):
        diagonal, row[0] = row[0], number
        for place, facing in enumerate(other, 1):
            cheapest = min(row[place] + 1, row[place - 1] + 1, diagonal + (char != facing))
            diagonal, row[place] = row[place], cheapest
    return row[-1]


def test_the_distance_is_the_tables() -> None:
    chance = random.Random(1)
    for number in range(2000):
        longest = 70 if number % 20 == 0 else 9
        one, other = ("".join(chance.choices("abcä", k=chance.randint(0, longest))) for _ in range(2))
        assert edit_distance(one, other) == draw_table(one, other), (one, other)


def test_the_closest_is_the_closest() -> None:
    names = ["orders", "order_items", "customers", "costumes"]
    assert closest("ordres", names, 0.6) == "orders"
    assert closest("custumers", names, 0.75) == "customers"
    assert closest("ordres", names, 0.75) is None
    assert closest("x", names, 0.1) is None


def test_among_very_many_names_none_is_looked_for() -> None:
    assert closest("table_1", (f"table_{number}" for number in range(501)), 0.5) is None
