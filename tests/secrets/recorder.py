"""All that the product said during a test run, all that it must not have said, and the search for the one in the other."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from urllib.parse import unquote, urlsplit

SHORTEST = 8  # shorter ones are words that stand in any text
AGENT_TOKEN = re.compile(rb"bwa_[0-9A-Za-z]{38}")
PASSWORD_HASH = re.compile(rb"\$argon2(?:id|i|d)\$[^\s\"']+")
SHOWS_A_TOKEN = re.compile(r"POST /(?:api/connections|c)/[^/]+/agents(?:/[^/]+/rotate)?$")
"""The answers that show an agent's token, once: it was created, or has a new token."""
SECOND_FACTOR = re.compile(rb"[A-Z2-7]{32}|\d[0-9A-Z]{3}(?:-?[0-9A-Z]{4}){3}")
"""An authenticator app's key and a recovery code."""
SHOWS_A_SECOND_FACTOR = re.compile(
    r"POST (?:/api|/settings)/account/2fa/(?:setup|enable|recovery-codes|recovery-codes/file)$"
)
"""The answers to the person who sets it up, and the file of the codes that they have just been shown."""
SIGNING_SECRET = re.compile(rb"whsec_[0-9A-Za-z+/]{43}=")
SHOWS_A_SIGNING_SECRET = re.compile(r"POST /(?:api/connections|c)/[^/]+/alerts(?:/[^/]+/secret)?$")
"""The answers that show the secret of a webhook, once."""

ANCHORS = (40, SHORTEST)
"""How many bytes of a secret's longest word are looked for first: few texts share forty."""
_PIECE = 1024
WORD = re.compile(rb"[0-9A-Za-z_+/=-]{%d,}" % SHORTEST)


@dataclass(frozen=True)
class Leak:
    where: str
    what: str
    around: str


@dataclass(frozen=True)
class _Saying:
    where: str
    start: int
    length: int


def _find_password(address: str) -> str | None:
    try:
        return urlsplit(address).password if address.count("://") == 1 else None
    except ValueError:
        return address  # no address after all, whatever it looks like


def _find_all(content: bytes, wanted: bytes) -> Iterator[int]:
    at = content.find(wanted)
    while at >= 0:
        yield at
        at = content.find(wanted, at + len(wanted))


def _cut(word: bytes) -> Iterator[bytes]:
    """Pieces that overlap by an anchor. Those of a long word are mostly the same: a test makes it of one character."""
    return (word[at : at + _PIECE + ANCHORS[0] - 1] for at in range(0, len(word), _PIECE))


class RunRecorder:
    """Kept on disk and searched once, at the end: a secret may be known only after it was said."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 - open as long as the run
        self._sayings: list[_Saying] = []
        self._repeated: set[tuple[str, int]] = set()
        self._secrets: dict[bytes, str] = {}

    @property
    def count(self) -> int:
        return len(self._sayings)

    def close(self) -> None:
        self._file.close()

    def record(self, where: str, text: bytes) -> None:
        """What a page says again and again is kept once."""
        if text and not (where.startswith("GET ") and self._is_repeated(where, text)):
            self._sayings.append(_Saying(where, self._file.seek(0, 2), len(text)))
            self._file.write(text)

    def _is_repeated(self, where: str, text: bytes) -> bool:
        said = (where, hash(text))
        is_known = said in self._repeated
        self._repeated.add(said)
        return is_known

    def add_secret(self, what: str, value: str) -> None:
        """Of an address only the password is one; an agent's token is found by its shape, wherever it may not be."""
        if AGENT_TOKEN.fullmatch(value.encode()):
            return
        if "://" in value:
            password = _find_password(value)
            for form in {password or "", unquote(password or "")}:
                self._add(f"the password of {what}", form)
        else:
            self._add(what, value)

    def _add(self, what: str, value: str) -> None:
        if len(value) >= SHORTEST:
            self._secrets.setdefault(value.encode(), what)

    def find_leaks(self) -> list[Leak]:
        self._file.seek(0)
        content = self._file.read()
        found = {*self._find_known(content), *self._find_shaped(content)}
        found = {(at, what) for at, what in found if not self._may_show(content, at)}
        return [self._describe(content, at, what) for at, what in sorted(found)]

    def _may_show(self, content: bytes, at: int) -> bool:
        """Whether this is a second factor's or a webhook's secret where a person is shown theirs."""
        where = self._saying_at(at).where
        allowed = ((SHOWS_A_SECOND_FACTOR, SECOND_FACTOR), (SHOWS_A_SIGNING_SECRET, SIGNING_SECRET))
        return any(shows.match(where) and secret.match(content, at) for shows, secret in allowed)

    def _find_known(self, content: bytes) -> Iterator[tuple[int, str]]:
        """By the words that the run said, each looked at once, however often it was said."""
        for secret in self._list_candidates(content):
            yield from ((at, self._secrets[secret]) for at in _find_all(content, secret))

    def _list_candidates(self, content: bytes) -> Iterator[bytes]:
        """The secrets of which a part is in some word, and those that have no word to look for."""
        by_anchor: dict[int, dict[bytes, list[bytes]]] = {length: {} for length in ANCHORS}
        for secret in self._secrets:
            longest = max(WORD.findall(secret), key=len, default=b"")
            length = next((length for length in ANCHORS if len(longest) >= length), None)
            if length is None:
                yield secret
            else:
                by_anchor[length].setdefault(longest[:length], []).append(secret)
        pieces = {piece for word in set(WORD.findall(content)) for piece in _cut(word)}
        for length, secrets in by_anchor.items():
            known = frozenset(secrets)
            found: set[bytes] = set()
            for piece in pieces:
                found |= known.intersection([piece[at : at + length] for at in range(len(piece) - length + 1)])
            for anchor in found:
                yield from secrets[anchor]

    def _find_shaped(self, content: bytes) -> Iterator[tuple[int, str]]:
        yield from ((match.start(), "a password hash") for match in PASSWORD_HASH.finditer(content))
        shown: dict[bytes, _Saying] = {}
        for match in AGENT_TOKEN.finditer(content):
            saying = self._saying_at(match.start())
            if SHOWS_A_TOKEN.match(saying.where) and shown.setdefault(match.group(), saying) is saying:
                continue
            yield match.start(), "an agent's token"

    def _saying_at(self, at: int) -> _Saying:
        low, high = 0, len(self._sayings) - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._sayings[middle].start <= at else (low, middle - 1)
        return self._sayings[low]

    def _describe(self, content: bytes, at: int, what: str) -> Leak:
        """Without the secret: what a failing test prints is read by many."""
        saying = self._saying_at(at)
        before = content[max(saying.start, at - 60) : at].decode(errors="replace")
        return Leak(saying.where, what, f"…{before}[here]…")
