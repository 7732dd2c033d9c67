"""From an Authorization header to whom a request runs as."""

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pgrest.jwt import (
    JwtRules,
    Window,
    anonymous_disabled,
    check_claims,
    find_role,
    secret_missing,
    verify_token,
)
from pgrest.server.shared_metrics import Metric, Row
from pgrest.sql.session import Session

_NEVER = Window(math.inf, -math.inf)


@dataclass(slots=True)
class _Known:
    """A token whose signature is good. `window` is when its claims hold, as far as that is known."""

    claims: Mapping[str, Any]
    window: Window = _NEVER
    session: Session | None = None


class Authenticator:
    """Remembers tokens whose signature it has checked, by the whole token.

    Their claims are held against the clock each time, so that none outlives itself. Other keys, another audience or
    another role are another Authenticator's.
    """

    def __init__(self, rules: JwtRules, anon_role: str | None, most_known: int, row: Row) -> None:
        self.rules = rules
        self.anon_role = anon_role
        self._most_known = most_known
        self._row = row
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._anonymous = None if anon_role is None else Session(anon_role, {"role": anon_role}, is_anonymous=True)

    def resize(self, most_known: int) -> None:
        self._most_known = most_known
        self._evict()

    def authenticate(self, authorization: bytes | None, now: float) -> Session:
        """Raises PgrestError. A caller without a bearer token is anonymous."""
        token = None if authorization is None else _read_bearer(authorization)
        if token is None:
            if self._anonymous is None:
                raise anonymous_disabled()
            return self._anonymous
        known = self._recall(token)
        if known.session is not None and known.window.first <= now < known.window.last + 1:
            return known.session
        known.window = check_claims(known.claims, self.rules.audience, math.floor(now))
        known.session = self._make_session(known.claims)
        return known.session

    def _recall(self, token: bytes) -> _Known:
        if self.rules.keys is None:
            raise secret_missing()
        if self._most_known <= 0:
            return _Known(verify_token(token, self.rules.keys))
        self._row.add(Metric.JWT_LOOKUPS)
        known = self._known.get(token)
        if known is not None:
            self._row.add(Metric.JWT_HITS)
            self._known.move_to_end(token)
            return known
        known = self._known[token] = _Known(verify_token(token, self.rules.keys))
        self._evict()
        return known

    def _evict(self) -> None:
        while len(self._known) > max(self._most_known, 0):
            self._known.popitem(last=False)
            self._row.add(Metric.JWT_EVICTIONS)

    def _make_session(self, claims: Mapping[str, Any]) -> Session:
        named = find_role(claims, self.rules.role_path)
        role = self.anon_role if named is None else named
        if role is None:
            raise anonymous_disabled()
        return Session(role, {**claims, "role": role}, is_anonymous=role == self.anon_role)


def _read_bearer(authorization: bytes) -> bytes | None:
    scheme, *rest = authorization.split(None, 1) or (b"",)
    return (rest[0] if rest else b"") if scheme.lower() == b"bearer" else None
