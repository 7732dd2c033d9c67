"""Tries what a finding says: reads an object's rows as a stranger and as a made-up user, and changes nothing.

Rows are counted and never fetched. "Denied", "no rows" and an empty object are different outcomes, and none of
them proves that the object is closed.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import uuid4

from basewarden.policy import is_sensitive_name
from basewarden.sentry.error_words import hide_values
from basewarden.sentry.rule import ObjectType, ProbeAttempt, ScannedObject
from basewarden.sentry.scans.asking import ask
from basewarden.sentry.scans.reading_code import find_reading_code
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
    """Who the probe is. The users are made up: no row can be theirs, but one that the probe brings for user B."""

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
    """`rows` counts up to MOST_ROWS, `sensitive` are columns that it could read. `reason` says why it did not run.

    `is_brought`: it was tried on a row that the probe brought. `is_partial`: a refusal proves nothing, since a write
    without a filter, which asks less of policies, was not tried, or since the owner of a row is refused as well.
    `lacks_right`: no policy was even asked.
    """

    caller: ProbeCaller
    outcome: ProbeOutcome
    rows: int | None = None
    sensitive: Sequence[str] = ()
    reason: str | None = None
    attempt: ProbeAttempt = ProbeAttempt.SELECT
    is_brought: bool = False
    is_partial: bool = False
    lacks_right: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """`is_empty`: the login itself sees no row there, so that no outcome proves anything. None where it cannot look."""

    probes: Sequence[RowProbe] = ()
    is_empty: bool | None = None

    def reads(self, caller: ProbeCaller) -> bool:
        return self._reaches(caller, ProbeAttempt.SELECT)

    def _reaches(self, caller: ProbeCaller, attempt: ProbeAttempt) -> bool:
        return any(one.caller is caller and one.outcome is ProbeOutcome.ROWS for one in self._list(attempt))

    def _list(self, *attempts: ProbeAttempt) -> Sequence[RowProbe]:
        return [one for one in self.probes if one.attempt in attempts]

    def choose(self, attempts: Sequence[ProbeAttempt]) -> "Proof":
        """What of it is about these."""
        return Proof(self._list(*attempts), self.is_empty)

    @property
    def sensitive(self) -> frozenset[str]:
        """The sensitive columns that a stranger read rows of."""
        return frozenset(name for one in self.probes if one.caller is ProbeCaller.ANON for name in one.sensitive)

    @property
    def is_read(self) -> bool:
        """By others than the owner of a row."""
        return any(self.reads(caller) for caller in (ProbeCaller.ANON, ProbeCaller.USER_A))

    @property
    def is_written(self) -> bool:
        """Whether someone who is not signed in changed or deleted a row."""
        return any(self._reaches(ProbeCaller.ANON, one) for one in (ProbeAttempt.UPDATE, ProbeAttempt.DELETE))

    @property
    def is_inverted(self) -> bool:
        """Whether a stranger reaches rows and people who sign in, though they may use the object, reach none."""
        return any(map(self._is_inverted, (ProbeAttempt.SELECT, ProbeAttempt.UPDATE, ProbeAttempt.DELETE)))

    def _is_inverted(self, attempt: ProbeAttempt) -> bool:
        users = {one.outcome for one in self._list(attempt) if one.caller is ProbeCaller.USER_A}
        return self._reaches(ProbeCaller.ANON, attempt) and users == {ProbeOutcome.NONE}

    def is_denied(self, attempts: Collection[ProbeAttempt]) -> bool:
        """Whether each of these was tried, and everyone who tried was refused."""
        found = [one for one in self._list(*attempts) if one.caller is not ProbeCaller.USER_B]
        is_refused = all(one.outcome is ProbeOutcome.DENIED for one in found)
        return is_refused and {one.attempt for one in found} == set(attempts)

    def disproves(self, attempts: Sequence[ProbeAttempt]) -> bool:
        """Whether each of these was tried and refused: by a privilege, or by a policy that lets the row's owner in."""
        found = [one for one in self._list(*attempts) if one.caller is not ProbeCaller.USER_B]
        return {one.attempt for one in found} == set(attempts) and all(map(self._is_refused, found))

    def _is_refused(self, probe: RowProbe) -> bool:
        """A policy may also have refused the values, and not the caller: then it refuses the row's owner, too."""
        is_denied = probe.outcome is ProbeOutcome.DENIED
        if probe.lacks_right or (is_denied and probe.attempt is ProbeAttempt.SELECT):
            return True
        # A row is handed over, or refused, only after a policy has let its owner update it.
        has_control = self._reaches(ProbeCaller.USER_B, probe.attempt) or probe.attempt is ProbeAttempt.HAND_OVER
        is_refused = is_denied or (probe.outcome is ProbeOutcome.NONE and probe.attempt is not ProbeAttempt.HAND_OVER)
        return is_refused and has_control and not probe.is_partial


def refuse_all(reason: str) -> Sequence[RowProbe]:
    """No write was tried, and for a reason that holds for each."""
    of_a = [RowProbe(ProbeCaller.USER_A, ProbeOutcome.NOT_RUN, reason=reason, attempt=one) for one in ProbeAttempt]
    return [RowProbe(ProbeCaller.ANON, ProbeOutcome.NOT_RUN, reason=reason), *of_a]


def join_probes(read: Proof, tried: Sequence[RowProbe]) -> Proof:
    """Of who read no row of those that are there, what they read of a row that was brought says more.

    In an empty table all of it does, also that none could be brought.
    """
    new = {one.caller: one for one in tried if one.attempt is ProbeAttempt.SELECT}
    probes = [_choose_read(one, new.get(one.caller), is_empty=bool(read.is_empty)) for one in read.probes]
    has_control = any(one.outcome is ProbeOutcome.NONE for one in probes)
    control = [one for one in tried if one.attempt is ProbeAttempt.SELECT and one.caller is ProbeCaller.USER_B]
    writes = [one for one in tried if one.attempt is not ProbeAttempt.SELECT]
    return Proof([*probes, *(control if has_control else ()), *writes], read.is_empty)


def _choose_read(read: RowProbe, tried: RowProbe | None, *, is_empty: bool) -> RowProbe:
    if tried is None or read.outcome is not ProbeOutcome.NONE:
        return read
    return tried if is_empty or tried.outcome is ProbeOutcome.ROWS else read


async def probe_rows(acquire: Acquire, found: ScannedObject, roles: frozenset[str]) -> Proof:
    """Reads as `anon` and as one made-up user; `roles` are those of the two that the database has."""
    if found.type not in _PROBED:
        return Proof()
    callers = (ProbeCaller.ANON, ProbeCaller.USER_A)
    try:
        code = await find_reading_code(acquire, found)
    except (DatabaseError, PgrestError) as error:
        reason = f"What reading it runs could not be found out: {error.message}."
        return Proof([RowProbe(one, ProbeOutcome.NOT_RUN, reason=reason) for one in callers])
    if code.untrusted is not None:
        reason = f"It would run the function {code.untrusted}, whose owner is another role."
        return Proof([RowProbe(one, ProbeOutcome.NOT_RUN, reason=reason) for one in callers])
    probes = [await _read_as(acquire, found, caller, roles) for caller in callers]
    return Proof(probes, await _is_empty(acquire, found) if code.is_countable else None)


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
