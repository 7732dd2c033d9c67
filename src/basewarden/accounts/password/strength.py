"""Why a password cannot be taken: too short, too common, too near to its person, or no secret at all."""

import unicodedata
from collections.abc import Iterable
from itertools import pairwise

from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]  # it ships no types

from basewarden.core.secret import Secret
from basewarden.errors import Invalid

MIN_LENGTH = 8
MAX_LENGTH = 1024
_COMMON = frozenset(word.casefold() for word in FREQUENCY_LISTS["passwords"])
_MOST_DECORATION = 8  # more digits or signs than this are a secret of their own
_DISGUISES = str.maketrans("@4830!15$7", "aaaeoiisst")
_PRODUCT = "basewarden"
_WORD_LENGTH = 4  # shorter words stand in half of all passwords
_MOST_AROUND_WORDS = 4
_LONGEST_PERIOD = 4
_FEWEST_STEPS = 4
_ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_KEYS = {key: (row, column) for row, keys in enumerate(_ROWS) for column, key in enumerate(keys)}


def check_strength(field: str, password: Secret, *, email: str, name: str) -> None:
    """Invalid beside this field where the password cannot be taken."""
    weakness = find_weakness(password, email=email, name=name)
    if weakness:
        raise Invalid.field(field, weakness)


def find_weakness(password: Secret, *, email: str, name: str) -> str | None:
    """Why this password cannot be taken, as a sentence for its person. Asks nobody: the lists are here."""
    text = unicodedata.normalize("NFC", password.reveal())
    if len(text) < MIN_LENGTH:
        return f"Use at least {MIN_LENGTH} characters; a few words are easier to remember."
    if len(text) > MAX_LENGTH:
        return f"Use at most {MAX_LENGTH} characters."
    folded = text.casefold()
    if _is_common(folded):
        return "This password is on the lists that guessers try first. Use a few words that do not belong together."
    if _is_about(folded, email.casefold(), name.casefold()):
        return "Use something else than your name, your address or ours; a few words of your own are better."
    if _is_pattern(folded):
        return "This repeats or counts on. Use a few words that do not belong together."
    return None


def _is_common(text: str) -> bool:
    """Also with digits and signs around it, and with letters written as digits: P@ssw0rd2024! is password."""
    bare = _undecorate(text)
    plain = _undecorate(text.translate(_DISGUISES))
    candidates = {text, bare, bare.translate(_DISGUISES), plain}
    return any(candidate in _COMMON for candidate in candidates if len(text) - len(candidate) <= _MOST_DECORATION)


def _undecorate(text: str) -> str:
    first = next((place for place, character in enumerate(text) if character.isalpha()), 0)
    last = next((place for place, character in enumerate(reversed(text)) if character.isalpha()), 0)
    return text[first : len(text) - last]


def _is_about(text: str, email: str, name: str) -> bool:
    """Made of words that anybody knows who knows the account, and of little else."""
    local, _, domain = email.partition("@")
    if text in {email, local, name}:
        return True
    rest = text
    for word in sorted({_PRODUCT, *_split_words(local, name, *domain.split(".")[:-1])}, key=len, reverse=True):
        rest = rest.replace(word, " ")
    return rest != text and sum(character.isalnum() for character in rest) <= _MOST_AROUND_WORDS


def _split_words(*texts: str) -> Iterable[str]:
    for text in texts:
        words = "".join(character if character.isalnum() else " " for character in text).split()
        yield from (word for word in (*words, "".join(words)) if len(word) >= _WORD_LENGTH)


def _is_pattern(text: str) -> bool:
    """Few characters that do not follow from the ones before: aaaabbbb, abcd4321, qwertzzz, abcabcabc."""
    if any(_repeats(text, period) for period in range(1, _LONGEST_PERIOD + 1)):
        return True
    return 1 + sum(not _follows(before, after) for before, after in pairwise(text)) < _FEWEST_STEPS


def _repeats(text: str, period: int) -> bool:
    return all(before == after for before, after in zip(text, text[period:], strict=False))


def _follows(before: str, after: str) -> bool:
    if abs(ord(after) - ord(before)) <= 1:
        return True
    here, there = _KEYS.get(before), _KEYS.get(after)
    return here is not None and there is not None and here[0] == there[0] and abs(here[1] - there[1]) == 1
