"""Access is read, closed and given back exactly, whatever it was."""

from pathlib import Path
from random import Random

import postgast
import pytest

from basewarden.sentry import rules
from basewarden.sentry.access.closing import API_ROLES, close_state, read_reach
from basewarden.sentry.access.state import AccessState, decode_states, encode_states, is_same_access
from basewarden.sentry.changes.putting import put_back, read_access, read_roles
from basewarden.sentry.changes.reversible import is_reversible
from basewarden.sentry.changes.transaction import ChangeTransaction
from basewarden.sentry.changes.trying import TriedFix, try_fix
from basewarden.sentry.rules import list_rules
from basewarden.sentry.scans.asking import ask
from basewarden.sentry.scans.fingerprints import make_fingerprint
from basewarden.sentry.scans.running import run_rule
from tests.sentry.access_shapes import OBJECTS, as_sets, dump, make_objects, shuffle_access
from tests.sentry.conftest import ScannedDatabase
from tests.sqlscan.plugin import OwnStatement

_OWN_TESTS = frozenset({"login_is_superuser", "unused_index"})
"""What they find no SQL makes."""
_WITHOUT_INVERSE = {
    "api_role_bypasses_rls",
    "api_role_is_member",
    "api_role_may_log_in",
    "duplicate_index",
    "extension_in_exposed_schema",
    "extension_outdated",
    "publication_without_rls",
    "unindexed_foreign_key",
}
"""Rules whose fix is shown and not applied."""


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_closed_is_given_back_exactly(scanned: ScannedDatabase, seed: int) -> None:
    await make_objects(scanned)
    random = Random(seed)
    for key in OBJECTS:
        await shuffle_access(scanned, random, key, "postgres")
    before = await dump(scanned)
    async with scanned.acquire() as connection, ChangeTransaction.open(connection) as change:
        login = await read_roles(change)
        states = [state for state, _ in (await read_access(change, OBJECTS)).values()]
        assert len(states) == len(OBJECTS)
        assert decode_states(encode_states(states)) == states
        await put_back(change, [close_state(one, API_ROLES) for one in states], login)
        for one in states:
            await assert_closed(change, one)
        await change.commit()
    closed = await dump(scanned)
    touched = {row[:2] for row, other in zip(before, closed, strict=True) if row != other}
    async with scanned.acquire() as connection, ChangeTransaction.open(connection) as change:
        await put_back(change, states, login)
        found = await read_access(change, OBJECTS)
        assert all(is_same_access(one, found[one.key][0]) for one in states)
        await change.commit()
    after = await dump(scanned)
    assert as_sets(after) == as_sets(before)
    assert [row for row in after if row[:2] not in touched] == [row for row in before if row[:2] not in touched]


async def assert_closed(change: ChangeTransaction, state: AccessState) -> None:
    reach = read_reach(state, API_ROLES)
    assert reach is not None
    (rows,) = await ask(change, 2, [reach])
    assert rows.rows == [], state.name


async def test_the_fix_of_every_rule_is_tried_and_taken_back(scanned: ScannedDatabase) -> None:
    """All in one database: each hole is made, fixed and taken back in a transaction that is rolled back."""
    without_inverse = set()
    for rule in list_rules():
        if rule.id in _OWN_TESTS:
            continue
        schemas = ["public", "vault"] if rule.id == "system_schema_exposed" else ["public"]
        async with scanned.acquire() as connection, ChangeTransaction.open(connection) as change:
            hole = (Path(rules.__file__).parent / rule.id / "hole.sql").read_text()
            script = ["SELECT pg_catalog.set_config('search_path', 'public', true)", *postgast.split(hole)]
            await connection.run([OwnStatement(one) for one in script])
            (found,) = (await run_rule(change.acquire, rule, schemas)).found
            sql = found.verdict.fix
            if sql is None:
                continue
            fingerprint = make_fingerprint(rule.id, found.hit.object)
            trial = await try_fix(change, TriedFix(rule, fingerprint, found.hit.object, schemas, sql))
            assert trial.closes, (rule.id, trial.reason)
            if trial.inverse is None:
                assert not is_reversible(sql), (rule.id, trial.reason)
                without_inverse.add(rule.id)
    assert without_inverse == _WITHOUT_INVERSE
