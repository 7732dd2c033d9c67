"""Recovery codes: ten per account, each valid once, for when the phone is lost.

`7Q4M-XK2V-HN9P-T8RC`: the first character is the code's position, so that one slow hash is computed and not
ten; the fifteen others are 75 random bits in Crockford's alphabet, which has no I, L, O and U.
"""

import re
import secrets
import unicodedata
from dataclasses import dataclass

from basewarden.core.secret import Secret

COUNT = 10
FEW = 3  # with fewer left, the page suggests to create new ones
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM = 15
_GROUP = 4
_LOOK_ALIKES = str.maketrans("OIL", "011")
_SHAPE = re.compile(rf"[0-9][{_ALPHABET}]{{{_RANDOM}}}")


@dataclass(frozen=True, slots=True)
class TypedCode:
    """A code in the right format. `text` is what is hashed: without dashes, in upper case."""

    position: int
    text: Secret

    def show(self) -> str:
        """The code with dashes, as it is shown."""
        whole = self.text.reveal()
        return "-".join(whole[at : at + _GROUP] for at in range(0, len(whole), _GROUP))


def make_codes() -> tuple[TypedCode, ...]:
    return tuple(TypedCode(position, Secret(f"{position}{_make_random()}")) for position in range(COUNT))


def read_code(typed: Secret) -> TypedCode | None:
    """Ignores case, dashes and spaces, and reads O as zero; None for text that is not in the format of a code."""
    text = unicodedata.normalize("NFKC", typed.reveal()).upper()
    kept = "".join(character for character in text if unicodedata.category(character) not in ("Pd", "Zs", "Cc"))
    code = kept.translate(_LOOK_ALIKES)
    return TypedCode(int(code[0]), Secret(code)) if _SHAPE.fullmatch(code) else None


def _make_random() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
