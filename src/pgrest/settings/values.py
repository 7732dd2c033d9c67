"""Reads one setting after the other out of what file, environment and database have given."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

from pgrest.config import Name
from pgrest.settings.errors import BadSettings
from pgrest.settings.file import Value
from pgrest.settings.table import ALIASES

T = TypeVar("T")
_INTEGER = re.compile(r"\s*-?[0-9]{1,18}\s*")
_NOT_ALPHABETIC = re.compile(r"[^A-Za-z]")


class Given:
    """An empty value is the same as none, but for `emptyable`. Every method takes the setting's own name."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def text(self, name: str) -> str | None:
        for known in (name, *ALIASES.get(name, ())):
            value = self._find(known)
            if value:
                return value
        return None

    def emptyable(self, name: str) -> str | None:
        return self._find(name)

    def names(self, name: str, default: Sequence[str]) -> tuple[str, ...]:
        text = self.text(name)
        names = tuple(default) if text is None else split_names(text)
        if not names:
            raise BadSettings(f"{name} names nothing")
        return names

    def qualified(self, name: str) -> Name | None:
        """The schema is empty where none is named."""
        text = self.text(name)
        if text is None:
            return None
        first, dot, second = text.partition(".")
        return (first, second) if dot else ("", first)

    def integer(self, name: str, default: int | None, *, least: int = 0, most: int = 2**31 - 1) -> int | None:
        text = self.text(name)
        if text is None:
            return default
        number = int(text) if _INTEGER.fullmatch(text) else None
        if number is None or not least <= number <= most:
            raise BadSettings(f"{name} takes a whole number from {least} to {most:,}, not {text!r}")
        return number

    def number(self, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        found = self.integer(name, default, least=least, most=most)
        return default if found is None else found

    def boolean(self, name: str, *, default: bool) -> bool:
        text = self.text(name)
        if text is None:
            return default
        word = _NOT_ALPHABETIC.sub("", text).lower()
        if word in ("true", "false"):
            return word == "true"
        if _INTEGER.fullmatch(text):
            return int(text) > 0
        raise BadSettings(f"{name} takes true or false, not {text!r}")

    def choice(self, name: str, choices: Mapping[str, T], default: T) -> T:
        text = self.text(name)
        if text is None:
            return default
        if text not in choices:
            raise BadSettings(f"{name} takes one of {', '.join(choices)}, not {text!r}")
        return choices[text]

    def _find(self, name: str) -> str | None:
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, Decimal):
            return str(int(value)) if value == value.to_integral_value() else str(value)
        raise BadSettings(f"{name} is a list; write a text with commas")


def split_names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
