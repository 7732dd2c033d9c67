"""Places the points of small charts in the coordinates of their SVG."""

from collections.abc import Sequence

WIDTH = 100
HEIGHT = 24
_MARGIN = 1


def place_points(values: Sequence[float]) -> str:
    """The points of a line over the whole width, the largest value at the top; one value is a level line."""
    shown = values if len(values) > 1 else [*values, *values]
    most = max(*shown, 1)
    step = WIDTH / (len(shown) - 1)
    usable = HEIGHT - 2 * _MARGIN
    heights = [HEIGHT - _MARGIN - usable * value / most for value in shown]
    return " ".join(f"{place * step:.5g},{height:.4g}" for place, height in enumerate(heights))
