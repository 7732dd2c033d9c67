"""Names are single lines that cannot change the text around them."""

import pytest

from basewarden.core.text import clean_line


@pytest.mark.parametrize(
    "text", ["a\nb", "a\x00", "\ud800", "a\u2028b", "price\u202ebot", "\u2067bot\u2069", "\u200f\u202b"]
)
def test_a_name_that_reaches_beyond_itself_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="single line"):
        clean_line(text)


@pytest.mark.parametrize("text", ["سعر", "מחיר", "👩‍💻 bot", "Zoë"])
def test_every_script_can_be_a_name(text: str) -> None:
    assert clean_line(f"  {text} ") == text
