"""Tells a secret from what has its shape: an example, a template, repeated characters. Pure."""

import re
from collections import Counter
from math import log2
from typing import Final

_EXAMPLE: Final = re.compile(
    r"(?i)example|placeholder|change[-_]?me|your|xxxx|replace|insert|dummy|redacted|sample|123456789|abcdefgh|"
    r"\.\.\.|\*\*\*|…|not[-_]?real|foobar"
)
_TEMPLATE: Final = re.compile(r"[$%#]?\{|\}|[<>\[\]()|]|^\$|^%[A-Za-z_]|^:[a-z]")
_EXAMPLE_PASSWORD: Final = re.compile(
    r"(?i)(?:your|my|the|db|some|a|super|very|user|database|postgres)?[-_ ]?(?:super)?[-_ ]?(?:secret)?[-_ ]?"
    r"(?:password|passwd|passw0rd|pass|pwd|pw|secret|token|key)?[-_ ]?(?:here)?\Z"
)
_USUAL: Final = frozenset(
    {"root", "admin", "user", "username", "test", "postgresql", "mysql", "redis", "mongo", "guest", "dev", "local"}
    | {"supabase", "default", "x", "pass123", "password123", "test123", "1234", "12345", "123456"}
)
_LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "0.0.0.0", "[", "[::1]", "host.docker.internal"})  # noqa: S104 - compared
_RESERVED_ENDINGS: Final = (".example", ".example.com", ".example.org", ".example.net", ".test", ".invalid", ".local")
_LEAST_BITS, _LEAST_BITS_OF_PASSWORDS = 2.9, 1.5
"""Of entropy for a character. Random hexadecimal of 40 digits has about 3.6."""


def is_placeholder(text: str) -> bool:
    return bool(_EXAMPLE.search(text) or _TEMPLATE.search(text))


def is_example_password(password: str) -> bool:
    """People choose passwords, so that less is enough than of a key."""
    is_word = bool(_EXAMPLE_PASSWORD.match(password)) or password.lower() in _USUAL
    return is_word or is_placeholder(password) or _count_bits(password) < _LEAST_BITS_OF_PASSWORDS


def is_local_host(host: str) -> bool:
    """A machine of its reader or of their own network, or a name that no one can own."""
    name = host.lower().rstrip(".")
    is_short = "." not in name and "[" not in name
    return is_short or name in _LOCAL_HOSTS or name.startswith(("example.", "127.")) or name.endswith(_RESERVED_ENDINGS)


def looks_random(text: str) -> bool:
    """Names of variables have words of one case."""
    is_mixed = any(map(str.isdigit, text)) or (any(map(str.isupper, text)) and any(map(str.islower, text)))
    return is_mixed and _count_bits(text) >= _LEAST_BITS


def _count_bits(text: str) -> float:
    counts = Counter(text)
    return -sum(count / len(text) * log2(count / len(text)) for count in counts.values())
