"""The Prefer header (RFC 7240): what the client would like, and which of it was granted."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Resolution = Literal["merge-duplicates", "ignore-duplicates"]
Returning = Literal["representation", "minimal", "headers-only"]
Counting = Literal["exact", "planned", "estimated"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "return": ("representation", "minimal", "headers-only"),
    "count": ("exact", "planned", "estimated"),
    "tx": ("commit", "rollback"),
    "missing": ("default", "null"),
    "handling": ("strict", "lenient"),
}


@dataclass(frozen=True)
class Preferences:
    resolution: Resolution | None = None
    returning: Returning | None = None
    count: Counting | None = None
    tx: Literal["commit", "rollback"] | None = None
    missing: Literal["default", "null"] | None = None
    handling: Literal["strict", "lenient"] | None = None
    timezone: str | None = None
    max_affected: int | None = None
    invalid: tuple[str, ...] = ()

    @property
    def is_strict(self) -> bool:
        return self.handling == "strict"

    @property
    def counts_exactly(self) -> bool:
        return self.count in ("exact", "estimated")

    @cached_property
    def applied(self) -> str:
        """The value of Preference-Applied."""
        given = (
            ("resolution", self.resolution),
            ("missing", self.missing),
            ("return", self.returning),
            ("count", self.count),
            ("tx", self.tx),
            ("handling", self.handling),
            ("timezone", self.timezone),
            ("max-affected", self.max_affected if self.is_strict else None),
        )
        return ", ".join(f"{name}={value}" for name, value in given if value is not None)


def parse_preferences(values: Iterable[str], *, allow_tx: bool, is_timezone: Callable[[str], bool]) -> Preferences:
    """Each preference counts once, the first time it is given."""
    chosen: dict[str, str] = {}
    invalid: list[str] = []
    for preference in (part.strip() for value in values for part in value.split(",")):
        name, _, value = preference.partition("=")
        if _is_valid(name, value, is_timezone):
            chosen.setdefault(name, value)
        else:
            invalid.append(preference)
    if not allow_tx:
        chosen.pop("tx", None)
    return _build(chosen, tuple(invalid))


def _is_valid(name: str, value: str, is_timezone: Callable[[str], bool]) -> bool:
    if name == "timezone":
        return is_timezone(value)
    return name == "max-affected" or value in _CHOICES.get(name, ())


def _build(chosen: dict[str, str], invalid: tuple[str, ...]) -> Preferences:
    return Preferences(
        resolution=chosen.get("resolution"),  # type: ignore[arg-type]  # checked against _CHOICES
        returning=chosen.get("return"),  # type: ignore[arg-type]  # the same
        count=chosen.get("count"),  # type: ignore[arg-type]  # the same
        tx=chosen.get("tx"),  # type: ignore[arg-type]  # the same
        missing=chosen.get("missing"),  # type: ignore[arg-type]  # the same
        handling=chosen.get("handling"),  # type: ignore[arg-type]  # the same
        timezone=chosen.get("timezone"),
        max_affected=_read_count(chosen.get("max-affected")),
        invalid=invalid,
    )


def _read_count(text: str | None) -> int | None:
    digits = (text or "").removeprefix("-")
    return int(text or "") if digits.isascii() and digits.isdigit() and len(digits) < 19 else None
