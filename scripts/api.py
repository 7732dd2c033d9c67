"""Writes `docs/api.md` from the contract in the code: `python scripts/api.py`."""

from pathlib import Path

from basewarden.operations.api import GROUPS, write_markdown

PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.md"


def main() -> None:
    PAGE.write_text(write_markdown(GROUPS))


if __name__ == "__main__":
    main()
