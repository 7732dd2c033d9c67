"""Tries what a finding says: reads an object's rows as a stranger and as a made-up user, and changes nothing.

Rows are counted and never fetched. "Denied", "no rows" and an empty object are different outcomes, and none of
them proves that the object is closed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import uuid4

from basewarden.policy import is_sensitive_name
from basewarden.sentry.error_words import hide_values
from basewarden.sentry.rule import ObjectType, ScannedObject
from basewarden.sentry.scans.asking import ask
from basewarden.sentry.scans.running import Acquire
from basewarden.sentry.words import quote_object
from pgrest import DatabaseError, PgrestError, Statement, quote_ident

PROBE_SECONDS = 5.0
"""As long as a rule may take: what is not tried in time is a finding without a proof."""
MOST_ROWS = 1_000
"""Counted; more are as bad."""
_NOT_ALLOWED: Final = "42501"
_PROBED: Final = frozenset({ObjectType.TABLE, ObjectType.VIEW})


class ProbeCaller(StrEnum):
    """Who the probe is. The users are made up: no row can be theirs."""

    ANON = "anon"
    USER_A = "user_a"
    USER_B = "user_b"


class ProbeOutcome(StrEnum):
    ROWS = "rows"
    NONE = "none"
    DENIED = "denied"
    ERROR = "error"
    NOT_RUN = "not_run"


@dataclass(frozen=True, slots=True)
class RowProbe:
    """`rows` counts up to MOST_ROWS, `sensitive` are columns that it could read. `reason` says why it did not run."""

    caller: ProbeCaller
    outcome: ProbeOutcome
    rows: int | None = None
    sensitive: Sequence[str] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """`is_empty`: the login itself sees no row there, so that no outcome proves anything. None where it cannot look."""

    probes: Sequence[RowProbe] = ()
    is_empty: bool | None = None

    def reads(self, caller: ProbeCaller) -> bool:
        return any(one.caller is caller and one.outcome is ProbeOutcome.ROWS for one in self.probes)

    @property
    def sensitive(self) -> frozenset[str]:
        """The sensitive columns that a stranger read rows of."""
        return frozenset(name for one in self.probes if one.caller is ProbeCaller.ANON for name in one.sensitive)

    @property
    def is_read(self) -> bool:
        return any(one.outcome is ProbeOutcome.ROWS for one in self.probes)

    @property
    def is_inverted(self) -> bool:
        """Whether a stranger reads rows and people who sign in, though they may read the object, are shown none."""
        users = {one.outcome for one in self.probes if one.caller is not ProbeCaller.ANON}
        return self.reads(ProbeCaller.ANON) and users == {ProbeOutcome.NONE}

    @property
    def is_denied(self) -> bool:
        """Whether everyone who was tried was refused."""
        return bool(self.probes) and all(one.outcome is ProbeOutcome.DENIED for one in self.probes)


async def probe_rows(acquire: Acquire, found: ScannedObject, roles: frozenset[str]) -> Proof:
    """Reads as `anon` and as one made-up user; `roles` are those of the two that the database has."""
    if found.type not in _PROBED:
        return Proof()
    probes = [await _read_as(acquire, found, caller, roles) for caller in (ProbeCaller.ANON, ProbeCaller.USER_A)]
    return Proof(probes, await _is_empty(acquire, found))


async def _read_as(acquire: Acquire, found: ScannedObject, caller: ProbeCaller, roles: frozenset[str]) -> RowProbe:
    role = "anon" if caller is ProbeCaller.ANON else "authenticated"
    if role not in roles:
        return RowProbe(caller, ProbeOutcome.NOT_RUN, reason=f"The database has no role {role}.")
    statements = [*_become(role), _list_columns(found), _open_schema(found), _count(found)]
    try:
        async with acquire() as connection:
            *_, columns, _, counted = await ask(connection, PROBE_SECONDS, statements)
    except DatabaseError as error:
        return _explain(caller, error, role)
    except PgrestError as error:
        return RowProbe(caller, ProbeOutcome.NOT_RUN, reason=error.message)
    rows = int(counted.rows[0][0] or b"0")
    if not rows:
        return RowProbe(caller, ProbeOutcome.NONE, 0)
    names = [(row[0] or b"").decode() for row in columns.rows]
    return RowProbe(caller, ProbeOutcome.ROWS, rows, [name for name in names if is_sensitive_name(name)])


def _become(role: str) -> list[Statement]:
    """Claims as PostgREST sets them."""
    claims: dict[str, str] = {"role": role}
    if role != "anon":
        claims |= {"sub": str(uuid4()), "email": "probe@example.invalid", "aud": role}
    return [
        Statement("SELECT set_config('request.jwt.claims', $1, true)", (json.dumps(claims).encode(),)),
        Statement("SELECT set_config('request.jwt.claim.sub', $1, true)", (claims.get("sub", "").encode(),)),
        Statement(f"SET LOCAL ROLE {quote_ident(role)}"),
    ]


def _open_schema(found: ScannedObject) -> Statement:
    """The search path of a request to the API, for functions of the project that rely on it."""
    path = f"{quote_ident(found.schema)}, public, extensions".encode()
    return Statement("SELECT pg_catalog.set_config('search_path', $1, true)", (path,))


def _count(found: ScannedObject) -> Statement:
    return Statement(f"SELECT pg_catalog.count(*) FROM (SELECT FROM {quote_object(found)} LIMIT {MOST_ROWS}) AS seen")


def _list_columns(found: ScannedObject) -> Statement:
    """Those that the current role may read."""
    sql = (
        "SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0"
        " AND NOT a.attisdropped AND has_column_privilege(a.attrelid, a.attnum, 'SELECT') ORDER BY a.attnum"
    )
    return Statement(sql, (quote_object(found).encode(),))


def _explain(caller: ProbeCaller, error: DatabaseError, role: str) -> RowProbe:
    """The third statement becomes the role: a failure there is the login's."""
    if error.at == _SET_ROLE:
        return RowProbe(caller, ProbeOutcome.NOT_RUN, reason=f"The login may not become {role}: {error.message}.")
    if error.sqlstate == _NOT_ALLOWED:
        return RowProbe(caller, ProbeOutcome.DENIED)
    reason = hide_values(error) or f"The database refused with the error {error.sqlstate}."
    return RowProbe(caller, ProbeOutcome.ERROR, reason=reason)


_SET_ROLE = 4
"""Its place among the statements, those that open the transaction counted."""


async def _is_empty(acquire: Acquire, found: ScannedObject) -> bool | None:
    try:
        async with acquire() as connection:
            (rows,) = await ask(connection, PROBE_SECONDS, [_count(found)])
    except (DatabaseError, PgrestError):
        return None
    return rows.rows[0][0] == b"0"
