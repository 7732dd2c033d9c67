"""Why a password is refused: too short, too long, or too easy to guess by zxcvbn's estimate.

zxcvbn splits a password into the parts that a guesser would try (common passwords, words, personal words, repetitions,
sequences, dates) and estimates how many guesses each part takes. Two of its properties need care:

- Its time grows with the square of the length, and exponentially with characters that may stand for others, such as
  `4@8({`: 40 of these take two seconds. So only a beginning is estimated that takes less than 50 ms on one core, in a
  thread. The characters after it only make a password stronger.
- It adds a surcharge for the number of parts, with which a common word between signs (`!!sunshine!!`) would pass. Here
  only the guesses of the parts are multiplied.
"""

import asyncio
import math
import threading
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from basewarden.core.secret import Secret
from basewarden.errors import Invalid

MIN_LENGTH = 8
MAX_LENGTH = 1024
MIN_GUESSES = 10**8  # what zxcvbn says of eight random characters
MAX_ESTIMATED = 40
_MAX_SUBSTITUTION_WORK = 20_000  # readings of a text times the square of its length
_SUBSTITUTES = ("4@", "({[<", "69", "1!|", "1|7", "$5", "+7")  # what zxcvbn reads in more than one way
_PRODUCT = "basewarden"
_MIN_WORD_LENGTH = 4  # shorter words are in half of all passwords
_SEPARATORS = ("", " ", "-", ".", "_")
_one_at_a_time = threading.Lock()  # zxcvbn keeps the personal words of a call in a global


async def check_strength(field: str, password: Secret, *, email: str, name: str) -> None:
    """Raises Invalid for this field where the password is refused."""
    problem = await asyncio.to_thread(find_weakness, password, email=email, name=name)
    if problem:
        raise Invalid.field(field, problem)


def find_weakness(password: Secret, *, email: str, name: str) -> str | None:
    """A sentence for the person, or None where the password is accepted. Uses no network: the lists are zxcvbn's."""
    text = unicodedata.normalize("NFC", password.reveal())
    if len(text) < MIN_LENGTH:
        return f"Use at least {MIN_LENGTH} characters; a few words are easier to remember."
    if len(text) > MAX_LENGTH:
        return f"Use at most {MAX_LENGTH} characters."
    parts = _split_into_parts(_cut(text), list_personal_words(email, name))
    if _count_guesses(parts) >= MIN_GUESSES:
        return None
    dictionaries = {part.get("dictionary_name") for part in parts}
    if "user_inputs" in dictionaries:
        return "Do not use your name, your email address or the name of this site. Use a few unrelated words."
    if dictionaries != {None}:
        return "This password is on lists of common passwords. Use a few unrelated words."
    return "This is a repeated or sequential pattern. Use a few unrelated words."


def list_personal_words(email: str, name: str) -> list[str]:
    """Words that everyone knows who knows the account, the most likely first: alone, and joined as in an address."""
    local, _, domain = email.partition("@")
    sources = (local, name, *domain.split(".")[:-1])
    words = [words for source in sources if (words := _split_words(source))]
    joined = [separator.join(several) for several in words for separator in _SEPARATORS]
    candidates = (_PRODUCT, email, local, name, *joined, *(word for several in words for word in several))
    return list(dict.fromkeys(word.lower() for word in candidates if len(word) >= _MIN_WORD_LENGTH))


def _split_words(text: str) -> list[str]:
    return "".join(character if character.isalnum() else " " for character in text).split()


def _cut(text: str) -> str:
    """The longest beginning that zxcvbn reads in time."""
    start = text[:MAX_ESTIMATED]
    seen = accumulate(start, lambda before, character: before | {character}, initial=frozenset[str]())
    fitting = (
        length for length, characters in enumerate(seen) if _estimate_work(characters, length) <= _MAX_SUBSTITUTION_WORK
    )
    return start[: max(fitting)]


def _estimate_work(characters: Iterable[str], length: int) -> int:
    readings = math.prod(max(1, len({*group} & {*characters})) for group in _SUBSTITUTES)
    return readings * length**2


def _split_into_parts(text: str, personal_words: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    from zxcvbn import zxcvbn  # type: ignore[import-untyped]  # noqa: PLC0415 - no types; takes 0.2 s, needed by few processes

    with _one_at_a_time:
        result: dict[str, Any] = zxcvbn(text, list(personal_words))
    parts: list[Mapping[str, Any]] = result["sequence"]
    return parts


def _count_guesses(parts: Sequence[Mapping[str, Any]]) -> int:
    """The parts are guessed one by one, in any order."""
    return math.factorial(len(parts)) * math.prod(int(part["guesses"]) for part in parts)
