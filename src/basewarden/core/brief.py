"""Short texts for people, from values of any content."""

MAX_BRIEF = 60
_GAP = " "


def make_brief(text: str, limit: int = MAX_BRIEF) -> str:
    """One line of at most `limit` characters; what cannot be printed, such as a control character, is a space."""
    shown = "".join(one if one.isprintable() else _GAP for one in text[: limit * 4])
    line = _GAP.join(shown.split())
    return line if len(line) <= limit and len(text) <= limit * 4 else f"{line[: limit - 1].rstrip()}…"
