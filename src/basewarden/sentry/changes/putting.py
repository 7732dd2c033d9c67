"""Brings objects to a state within a transaction, and looks whether they are there."""

from collections.abc import Mapping, Sequence
from typing import Final

from basewarden.sentry.access.login import READ_LOGIN, LoginRoles, read_login
from basewarden.sentry.access.reading import READ_SECONDS, decode_states, read_states
from basewarden.sentry.access.restoring import RestoreStep, make_restore
from basewarden.sentry.access.state import AccessKey, AccessKind, AccessState, is_same_access
from basewarden.sentry.access.words import describe_difference
from basewarden.sentry.changes.transaction import ChangeTransaction
from basewarden.sentry.scans.asking import Asked, ask

_MOST_PASSES: Final = 4
"""One REVOKE takes more than it names, where others have a right through who loses it."""


class NotRestored(Exception):
    """The statements ran and the objects are not as they were to be; `differences` says what is left, in words."""

    def __init__(self, differences: Sequence[str]) -> None:
        super().__init__(" ".join(differences))
        self.differences = differences


async def read_access(asked: Asked, keys: Sequence[AccessKey]) -> dict[AccessKey, tuple[AccessState, str]]:
    """The states of those that are there, each with its stamp."""
    found: dict[AccessKey, tuple[AccessState, str]] = {}
    for is_bucket in (False, True):
        wanted = [key for key in keys if (key.kind is AccessKind.BUCKET) == is_bucket]
        if wanted:
            (rows,) = await ask(asked, READ_SECONDS, [read_states(wanted, buckets=is_bucket)])
            found |= decode_states(rows)
    return found


async def read_roles(asked: Asked) -> LoginRoles:
    (rows,) = await ask(asked, READ_SECONDS, [READ_LOGIN])
    return read_login(rows)


async def put_back(
    transaction: ChangeTransaction, targets: Sequence[AccessState], login: LoginRoles
) -> list[RestoreStep]:
    """Returns the statements that ran. Raises DatabaseError, and NotRestored where they did not do it."""
    ran: list[RestoreStep] = []
    keys = [one.key for one in targets]
    found = await read_access(transaction, keys)
    for _ in range(_MOST_PASSES):
        steps = [step for one in targets if one.key in found for step in make_restore(found[one.key][0], one, login)]
        if not steps:
            break
        await transaction.change(steps)
        ran += steps
        found = await read_access(transaction, keys)
        if not _list_differences(targets, found):
            break
    differences = _list_differences(targets, found)
    if differences:
        raise NotRestored(differences)
    return ran


def _list_differences(targets: Sequence[AccessState], found: Mapping[AccessKey, tuple[AccessState, str]]) -> list[str]:
    return [text for one in targets for text in compare(one, found.get(one.key))]


def compare(target: AccessState, found: tuple[AccessState, str] | None) -> list[str]:
    """What differs, in words; empty where everyone may do the same."""
    if found is not None and is_same_access(target, found[0]):
        return []
    return describe_difference(target, found[0] if found is not None else None) or ["It is not as it was."]
