"""Closes one object to the API's roles in a transaction, and finds out whom that cuts off."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from basewarden.sentry.access.closing import (
    READ_API_ROLES,
    close_state,
    is_bucket_closed,
    list_cut_off,
    read_dependents,
    read_reach,
)
from basewarden.sentry.access.restoring import make_restore, write_script
from basewarden.sentry.access.state import AccessKind, AccessState, is_same_access, list_keys, name_state
from basewarden.sentry.changes.bucket_code import check_bucket_code
from basewarden.sentry.changes.failures import explain_failure
from basewarden.sentry.changes.putting import NotRestored, put_back, read_access, read_roles
from basewarden.sentry.changes.transaction import ChangeTransaction
from basewarden.sentry.errors import FindingChanged, LoginMayNot, NotClosable, NotReachable
from basewarden.sentry.rule import ScannedObject
from basewarden.sentry.scans.asking import Asked, ask
from pgrest import DatabaseError

_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Dependent:
    """What uses the object: a view, a function, a parent or a child table."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class QuarantineTrial:
    """`cut_off` are roles with rights of their own that lose some; None is PUBLIC, what everyone has."""

    sql: str
    inverse: str
    before: AccessState
    after: AccessState
    stamp: str
    cut_off: Sequence[str | None]
    dependents: Sequence[Dependent]

    @property
    def target(self) -> str:
        return name_state(self.before)


async def try_quarantine(transaction: ChangeTransaction, found: ScannedObject) -> QuarantineTrial:
    """Leaves the object closed in the transaction.

    Raises NotClosable, FindingChanged, NotReachable, LoginMayNot, DatabaseError and PgrestError.
    """
    state, stamp = await _read_object(transaction, found)
    roles = await read_api_roles(transaction)
    login = await read_roles(transaction)
    if not await is_reached(transaction, state, roles):
        raise NotReachable
    dependents = await _list_dependents(transaction, state)
    steps = make_restore(state, close_state(state, roles), login, keeps_order=False)
    sql = write_script(steps)
    if not login.may_act_as(state.owner) and state.kind is not AccessKind.BUCKET:
        raise LoginMayNot([f"It is not {state.owner}, who owns {name_state(state)}."], sql)
    try:
        await check_bucket_code(transaction, [state], sql)
        await transaction.change(steps)
    except DatabaseError as error:
        raise explain_failure(error, sql) from error
    after = (await read_access(transaction, [state.key]))[state.key][0]
    left = await list_reaching(transaction, after, roles)
    if left or is_same_access(state, after):
        raise LoginMayNot([_describe_left(state, left)], sql)
    try:
        async with transaction.trying():
            inverse = write_script(await put_back(transaction, [state], login))
    except NotRestored as error:
        raise LoginMayNot(["What is there could not be given back exactly.", *error.differences], sql) from error
    except DatabaseError as error:
        raise explain_failure(error, sql) from error
    return QuarantineTrial(sql, inverse, state, after, stamp, list_cut_off(state, after), dependents)


async def is_reached(asked: Asked, state: AccessState, roles: Sequence[str]) -> bool:
    return bool(await list_reaching(asked, state, roles))


async def list_reaching(asked: Asked, state: AccessState, roles: Sequence[str]) -> list[str]:
    """The API's roles that may use it somehow."""
    statement = read_reach(state, roles)
    if statement is None:
        return [] if is_bucket_closed(state, roles) else list(roles or ("public",))
    (rows,) = await ask(asked, _SECONDS, [statement])
    return [(row[0] or b"").decode() for row in rows.rows]


async def read_api_roles(asked: Asked) -> list[str]:
    (rows,) = await ask(asked, _SECONDS, [READ_API_ROLES])
    return sorted((row[0] or b"").decode() for row in rows.rows)


async def _read_object(transaction: ChangeTransaction, found: ScannedObject) -> tuple[AccessState, str]:
    keys = list_keys(found)
    if not keys:
        raise NotClosable
    states = await read_access(transaction, keys)
    if not states:
        raise FindingChanged("The object is no longer there. Scan again.")
    return next(iter(states.values()))


async def _list_dependents(transaction: ChangeTransaction, state: AccessState) -> list[Dependent]:
    statement = read_dependents(state)
    if statement is None:
        return []
    (rows,) = await ask(transaction, _SECONDS, [statement])
    return [Dependent(*((one or b"").decode() for one in row)) for row in rows.rows]


def _describe_left(state: AccessState, left: Sequence[str]) -> str:
    if state.kind is AccessKind.BUCKET and not state.has_rls:
        return "Row level security is off on storage.objects, so no policy can close one bucket."
    if not left:
        return "Its REVOKE changed nothing."
    names = ", ".join(left)
    return (
        f"After it, {names} would still reach it: by a grant of another role, as a member of a role, or as its owner."
    )
