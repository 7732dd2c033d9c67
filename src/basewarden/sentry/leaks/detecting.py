"""Finds secrets in a text: by the shape of each kind, then by what would make it a look-alike. Pure.

A match holds where it is, how long it is and its first characters; the secret itself is not kept.
"""

import base64
import binascii
import json
import re
import string
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from basewarden.sentry.leaks.kinds import LeakKind, PublicKind
from basewarden.sentry.leaks.look_alikes import is_example_password, is_local_host, is_placeholder, looks_random
from basewarden.sentry.leaks.rewriting import rewrite

SHOWN: Final = 6
"""Characters of a secret that are shown."""
_PIECE, _OVERLAP = 128 * 1024, 16 * 1024
"""A text is searched piece by piece, so that other work comes in between; no secret is longer than the overlap."""
_MOST_DEPTH: Final = 3
"""Of base64 within base64."""
_WITHIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]")
_JWT: Final = re.compile(r"(?<![\w-])eyJ[\w-]{8,4000}\.eyJ[\w-]{8,4000}\.[\w-]{16,1400}")
_SCHEME: Final = re.compile(
    r"(?i)(?<![a-z])(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql|sqlserver|cockroachdb)"
    r"(?:\+[a-z0-9]{1,20})?\Z"
)
_LONGEST_SCHEME: Final = 34
_ADDRESS: Final = re.compile(
    r"://(?P<user>[^\s:@/\"'`<>\\]{0,200}):(?P<password>[^\s@\"'`\\]{1,300})@(?P<host>[^\s:/?#\"'`<>\\,;)]{1,253})"
)
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,2}PRIVATE KEY(?: BLOCK)?-----"
    r"(?P<body>(?:[A-Za-z0-9+/=:,. -]|\\+[rn]|[\s\"'`]){60,9000})"
)
_SHORTEST_KEY: Final = 60
_AWS_IDS: Final = (re.compile(r"AKIA[A-Z2-7]{16}(?![A-Z0-9])"), re.compile(r"ASIA[A-Z2-7]{16}(?![A-Z0-9])"))
_AWS_SECRET: Final = re.compile(r"(?<![A-Za-z0-9/+=_-])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=_-])")
_AWS_NAMED: Final = re.compile(
    r"(?i)secret_?(?:access_?)?key[\"'`]?\s{0,5}[:=,]\s{0,5}[\"'`]?(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
)
_AWS_NEAR: Final = 250
"""Characters between the id of an access key and its secret."""
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/_-]{40,}")
_TRIED: Final = 64
_UNREADABLE: Final = bytes(set(range(256)) - set(string.printable.encode()))
_ALL_ROWS: Final = frozenset({"service_role", "supabase_admin", "supabase_auth_admin", "postgres"})
_DEMO: Final = "supabase-demo"
_REFERENCE: Final = re.compile(r"[a-z]{20}\Z")


class _Shape(NamedTuple):
    """`literal` is in each match: to look for it first is much faster."""

    kind: LeakKind | PublicKind
    literal: str
    pattern: re.Pattern[str]


def _shape(kind: LeakKind | PublicKind, literal: str, rest: str) -> _Shape:
    return _Shape(kind, literal, re.compile(re.escape(literal) + rest))


_SHAPES: Final = (
    _shape(LeakKind.SUPABASE_SECRET, "sb_secret_", r"(?P<body>[A-Za-z0-9_-]{20,200})"),
    _shape(LeakKind.SUPABASE_TOKEN, "sbp_", r"(?:oauth_|v0_)?(?P<body>[a-f0-9]{40})(?![A-Za-z0-9])"),
    _shape(LeakKind.STRIPE, "sk_live_", r"(?P<body>[A-Za-z0-9]{16,250})"),
    _shape(LeakKind.STRIPE, "rk_live_", r"(?P<body>[A-Za-z0-9]{16,250})"),
    _shape(LeakKind.OPENAI, "sk-", r"(?:proj|svcacct|admin|None)-(?P<body>[\w-]{40,250})"),
    _shape(LeakKind.OPENAI, "sk-", r"(?P<body>[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})(?![A-Za-z0-9])"),
    _shape(LeakKind.ANTHROPIC, "sk-ant-", r"[a-z]{3,8}\d\d-(?P<body>[\w-]{60,250})"),
    _shape(LeakKind.GITHUB, "gh", r"[pousr]_(?P<body>[A-Za-z0-9]{36,250})(?![A-Za-z0-9_])"),
    _shape(LeakKind.GITHUB, "github_pat_", r"(?P<body>[A-Za-z0-9]{22}_[A-Za-z0-9]{59})"),
    _shape(LeakKind.SLACK, "xox", r"[abeoprs]-(?P<body>\d{9,14}-[A-Za-z0-9-]{20,200})"),
    _shape(LeakKind.SENDGRID, "SG.", r"(?P<body>[\w-]{22}\.[\w-]{43})(?![\w-])"),
    _shape(LeakKind.AGENT_TOKEN, "bwa_", r"(?P<body>[A-Za-z0-9]{38})(?![A-Za-z0-9_])"),
    _shape(PublicKind.PUBLISHABLE, "sb_publishable_", r"(?P<body>[A-Za-z0-9_-]{20,200})"),
    _shape(PublicKind.STRIPE_PUBLISHABLE, "pk_live_", r"(?P<body>[A-Za-z0-9]{16,250})"),
)


@dataclass(frozen=True, slots=True)
class SecretMatch:
    """`offset` and `length` are those in the text. `note` says what is known of it that is no secret."""

    kind: LeakKind | PublicKind
    offset: int
    length: int
    start: str
    note: str = ""

    @property
    def is_leak(self) -> bool:
        return isinstance(self.kind, LeakKind)


def find_secrets(text: str, depth: int = 0) -> list[SecretMatch]:
    """In the order of the text; each once, though it may be found in several ways."""
    found = [one for start in range(0, max(1, len(text)), _PIECE) for one in _find_in_piece(text, start)]
    found += _find_encoded(text, depth)
    return list(_drop_repeated(sorted(found, key=lambda one: (one.offset, -one.length))))


def _drop_repeated(matches: list[SecretMatch]) -> Iterator[SecretMatch]:
    """One that begins within another of its kind is the same."""
    ends: dict[str, int] = {}
    for one in matches:
        if one.offset >= ends.get(one.kind, 0):
            ends[one.kind] = one.offset + one.length
            yield one


def _find_in_piece(text: str, start: int) -> Iterator[SecretMatch]:
    piece = text[start : start + _PIECE + _OVERLAP]
    for found in _find_in(piece):
        if found.offset < _PIECE:  # the next piece has the others
            yield replace(found, offset=start + found.offset)


def _find_in(text: str) -> Iterator[SecretMatch]:
    yield from _find_plain(text)
    rewritten = rewrite(text)
    if rewritten is None:
        return
    for found in _find_plain(rewritten.text):
        begin, end = (rewritten.find_place(place) for place in (found.offset, found.offset + found.length))
        yield replace(found, offset=begin, length=max(found.length, end - begin))


# Base64 ---------------------------------------------------------------------------------------------------


def _find_encoded(text: str, depth: int) -> Iterator[SecretMatch]:
    """Within what is base64 of a text, such as JSON or a source map; its place is where the encoded text begins."""
    if depth >= _MOST_DEPTH:
        return
    for match in _ENCODED.finditer(text):
        decoded = _decode_text(match[0])
        for found in find_secrets(decoded, depth + 1) if decoded is not None else ():
            note = found.note if found.note.endswith(_AS_BASE64) else f"{found.note}, {_AS_BASE64}".removeprefix(", ")
            yield replace(found, offset=match.start(), note=note)


_AS_BASE64: Final = "encoded in base64"


def _decode_text(encoded: str) -> str | None:
    """None for base64 of no text, and for what is no base64: an image, a font, a hash, a name."""
    begin = 0 if _is_text(_decode_base64(encoded[:_TRIED])) else encoded.find("eyJ")
    if begin < 0 or not _is_text(_decode_base64(encoded[begin : begin + _TRIED])):
        return None
    whole = _decode_base64(encoded[begin:])
    return whole.decode(errors="replace") if whole is not None and _is_text(whole) else None


def _decode_base64(encoded: str) -> bytes | None:
    usual = encoded.replace("-", "+").replace("_", "/")
    if len(usual) % 4 == 1:
        usual = usual[:-1]
    try:
        return base64.b64decode(usual + "=" * (-len(usual) % 4), validate=True)
    except binascii.Error:
        return None


def _is_text(data: bytes | None) -> bool:
    return data is not None and len(data) > 0 and len(data.translate(None, _UNREADABLE)) >= 0.97 * len(data)


# Kinds ----------------------------------------------------------------------------------------------------


def _find_plain(text: str) -> Iterator[SecretMatch]:
    for kind, literal, pattern in _SHAPES:
        if literal in text:
            for match in pattern.finditer(text):
                if not _is_within_name(text, match.start()):
                    yield _make_match(kind, match)
    if "eyJ" in text:
        yield from _find_tokens(text)
    if "PRIVATE KEY" in text:
        yield from _find_private_keys(text)
    yield from _find_urls(text)
    yield from _find_aws(text)


def _is_within_name(text: str, place: int) -> bool:
    return place > 0 and _WITHIN_NAME.match(text, place - 1) is not None


def _make_match(kind: LeakKind | PublicKind, match: re.Match[str]) -> SecretMatch:
    """A shape with the text of an example is a placeholder."""
    is_example = is_placeholder(match["body"]) or not looks_random(match["body"])
    return _make(PublicKind.PLACEHOLDER if is_example else kind, match.start(), match[0])


def _make(kind: LeakKind | PublicKind, offset: int, secret: str, note: str = "") -> SecretMatch:
    return SecretMatch(kind, offset, len(secret), secret[:SHOWN], note)


def _find_tokens(text: str) -> Iterator[SecretMatch]:
    for match in _JWT.finditer(text):
        claims = _read_claims(match[0])
        kind = _classify(claims)
        if kind is not None:
            yield _make(kind, match.start(), match[0], _describe_claims(claims))


def _read_claims(token: str) -> Mapping[str, Any]:
    """What a JWT says, unchecked; empty where it is none."""
    head, payload, _ = (_decode_base64(part) for part in token.split("."))
    try:
        is_token = head is not None and "alg" in json.loads(head)
        claims = json.loads(payload) if is_token and payload is not None else None
    except (ValueError, RecursionError, TypeError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _classify(claims: Mapping[str, Any]) -> LeakKind | PublicKind | None:
    role, expires = claims.get("role"), claims.get("exp")
    if not isinstance(role, str) or (role not in _ALL_ROWS and role != "anon"):
        return None
    if claims.get("iss") == _DEMO:
        return PublicKind.DEMO
    if role == "anon":
        return PublicKind.ANON
    is_over = isinstance(expires, int | float) and expires < time.time()
    return PublicKind.EXPIRED if is_over else LeakKind.SERVICE_ROLE


def _describe_claims(claims: Mapping[str, Any]) -> str:
    reference = str(claims.get("ref", ""))
    return f"role {claims['role']}" + (f", project {reference}" if _REFERENCE.match(reference) else "")


def _find_urls(text: str) -> Iterator[SecretMatch]:
    place = text.find("://")
    while place >= 0:
        scheme = _SCHEME.search(text[max(0, place - _LONGEST_SCHEME) : place])
        match = _ADDRESS.match(text, place) if scheme is not None else None
        if scheme is not None and match is not None:
            is_example = is_local_host(match["host"]) or is_placeholder(match["host"])
            is_example = is_example or is_example_password(match["password"])
            kind = PublicKind.PLACEHOLDER if is_example else LeakKind.DATABASE_URL
            yield _make(kind, place - len(scheme[0]), scheme[0] + match[0])
        place = text.find("://", place + 3)


def _find_private_keys(text: str) -> Iterator[SecretMatch]:
    for match in _PRIVATE_KEY.finditer(text):
        whole, _, _ = match["body"].partition("-----")
        body = re.sub(r"\\+[rn]|[^A-Za-z0-9+/]", "", whole)
        if len(body) >= _SHORTEST_KEY and looks_random(body):
            kind = PublicKind.PLACEHOLDER if "..." in whole else LeakKind.PRIVATE_KEY
            length = match.start("body") - match.start() + len(whole)
            yield _make(kind, match.start(), text[match.start() : match.start() + length])


def _find_aws(text: str) -> Iterator[SecretMatch]:
    """The id of an access key alone is no secret; the 40 characters beside it are."""
    for match in _AWS_NAMED.finditer(text):
        yield _make_aws(match.start("secret"), match["secret"])
    for pattern in _AWS_IDS:
        for match in pattern.finditer(text):
            begin = max(0, match.start() - _AWS_NEAR)
            for secret in _AWS_SECRET.finditer(text[begin : match.end() + _AWS_NEAR]):
                if _is_mixed(secret[0]):
                    yield _make_aws(begin + secret.start(), secret[0])


def _make_aws(offset: int, secret: str) -> SecretMatch:
    is_leak = _is_mixed(secret) and looks_random(secret) and not is_placeholder(secret)
    return _make(LeakKind.AWS if is_leak else PublicKind.PLACEHOLDER, offset, secret)


def _is_mixed(text: str) -> bool:
    """A hash in hexadecimal or a path of words has not all of these."""
    return bool(re.search(r"[a-z]", text) and re.search(r"[A-Z]", text) and re.search(r"\d", text))
