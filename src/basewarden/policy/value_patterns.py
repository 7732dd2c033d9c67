"""What a text looks like: an email address, a card number, an account number, a token or a private key. Pure."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

ValueKind = Literal["email", "card", "iban", "jwt", "private_key"]

MIN_SHARE: Final = 0.2
"""Of the values of a column, so many must look alike. One address in a long text is no column of addresses."""
MIN_MATCHES: Final = 2
_EMAIL = re.compile(r"[^\s@<>()\[\],;:\"]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+", re.IGNORECASE)
_CARD = re.compile(r"[0-9](?:[ -]?[0-9]){12,18}")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}")
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")
_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")


class LookedAt(NamedTuple):
    """How many of the values of a column were of the kind that most of them are."""

    kind: ValueKind
    matches: int
    values: int


def classify_value(text: str) -> ValueKind | None:
    stripped = text.strip()
    if _PRIVATE_KEY.search(stripped):
        return "private_key"
    if _JWT.fullmatch(stripped):
        return "jwt"
    if _EMAIL.fullmatch(stripped):
        return "email"
    if _IBAN.fullmatch(stripped) and _is_iban(stripped.replace(" ", "")):
        return "iban"
    if _CARD.fullmatch(stripped) and _passes_luhn(re.sub(r"\D", "", stripped)):
        return "card"
    return None


def classify_column(values: Iterable[str]) -> LookedAt | None:
    """None where too few of the values look alike."""
    kinds = [classify_value(value) for value in values]
    counted = Counter(kind for kind in kinds if kind is not None)
    if not counted:
        return None
    kind, matches = counted.most_common(1)[0]
    if matches < MIN_MATCHES or matches < MIN_SHARE * len(kinds):
        return None
    return LookedAt(kind, matches, len(kinds))


def _passes_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0 and len(set(digits)) > 1


def _is_iban(text: str) -> bool:
    """The country and the check digits are read after the rest, and A to Z as 10 to 35."""
    moved = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1
