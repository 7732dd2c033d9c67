"""What probes prove: as a stranger and as a made-up user, with nothing changed, and no proof where there is none."""

import shlex

import pytest

from basewarden.sentry.rule import ObjectType, ProbeAttempt, ScannedObject, Severity
from basewarden.sentry.rules import list_rules
from basewarden.sentry.scans import probing
from basewarden.sentry.scans.probing import MOST_ROWS, ProbeCaller, ProbeOutcome, Proof, probe_rows
from basewarden.sentry.scans.running import run_rule
from basewarden.sentry.scans.severity import weigh
from basewarden.sentry.words import make_request
from tests.sentry.conftest import ScannedDatabase, open_pool

ROLES = frozenset({"anon", "authenticated"})
ANON, USER = ProbeCaller.ANON, ProbeCaller.USER_A
READ = (ProbeAttempt.SELECT,)


def table(name: str, kind: ObjectType = ObjectType.TABLE) -> ScannedObject:
    return ScannedObject(kind, "public", name)


def outcomes(proof: Proof) -> dict[str, str]:
    return {one.caller: one.outcome for one in proof.probes}


async def test_rows_that_a_stranger_reads_are_counted_with_their_sensitive_columns(scanned: ScannedDatabase) -> None:
    await scanned.run(
        "CREATE TABLE people (id int PRIMARY KEY, email text, nick text);"
        f"INSERT INTO people SELECT n, 'e', 'n' FROM generate_series(1, {MOST_ROWS + 50}) n;"
        "GRANT SELECT (id, email) ON people TO anon; GRANT SELECT ON people TO authenticated"
    )
    proof = await probe_rows(scanned.acquire, table("people"), ROLES)
    assert outcomes(proof) == {ANON: ProbeOutcome.ROWS, USER: ProbeOutcome.ROWS}
    assert [(one.rows, list(one.sensitive)) for one in proof.probes] == [(MOST_ROWS, ["email"])] * 2
    assert proof.sensitive == {"email"}
    assert proof.is_empty is False


async def test_denied_no_rows_and_an_empty_table_differ(scanned: ScannedDatabase) -> None:
    await scanned.run(
        "CREATE TABLE closed (id int); INSERT INTO closed VALUES (1);"
        "CREATE TABLE own (id int, owner uuid); INSERT INTO own VALUES (1, gen_random_uuid());"
        "ALTER TABLE own ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON own USING (owner = (SELECT auth.uid()));"
        "CREATE TABLE bare (id int); GRANT SELECT ON own, bare TO anon, authenticated"
    )
    denied = await probe_rows(scanned.acquire, table("closed"), ROLES)
    assert (outcomes(denied), denied.is_denied(READ)) == ({ANON: ProbeOutcome.DENIED, USER: ProbeOutcome.DENIED}, True)
    own = await probe_rows(scanned.acquire, table("own"), ROLES)
    assert (outcomes(own), own.is_empty) == ({ANON: ProbeOutcome.NONE, USER: ProbeOutcome.NONE}, False)
    bare = await probe_rows(scanned.acquire, table("bare"), ROLES)
    assert (outcomes(bare), bare.is_empty) == ({ANON: ProbeOutcome.NONE, USER: ProbeOutcome.NONE}, True)


async def test_claims_are_those_of_the_role(scanned: ScannedDatabase) -> None:
    await scanned.run(
        "CREATE TABLE posts (id int); INSERT INTO posts VALUES (1); ALTER TABLE posts ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY members ON posts USING (auth.role() = 'authenticated' AND auth.uid() IS NOT NULL);"
        "GRANT SELECT ON posts TO anon, authenticated"
    )
    proof = await probe_rows(scanned.acquire, table("posts"), ROLES)
    assert outcomes(proof) == {ANON: ProbeOutcome.NONE, USER: ProbeOutcome.ROWS}


async def test_a_policy_turned_upside_down_is_critical(scanned: ScannedDatabase) -> None:
    await scanned.run(
        "CREATE TABLE bills (id int); INSERT INTO bills VALUES (1); ALTER TABLE bills ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY guests ON bills FOR SELECT USING ((SELECT auth.uid()) IS NULL);"
        "GRANT SELECT ON bills TO anon, authenticated"
    )
    proof = await probe_rows(scanned.acquire, table("bills"), ROLES)
    assert proof.is_inverted
    assert weigh(Severity.INFO, proof) is Severity.CRITICAL
    await scanned.run("CREATE POLICY users ON bills FOR SELECT USING ((SELECT auth.uid()) IS NOT NULL)")
    proof = await probe_rows(scanned.acquire, table("bills"), ROLES)
    assert not proof.is_inverted
    assert weigh(Severity.INFO, proof) is Severity.INFO


async def test_what_a_view_does_is_undone_or_refused_and_slow_ones_end(
    scanned: ScannedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "PROBE_SECONDS", 0.5)
    await scanned.run(
        "CREATE TABLE hits (n int); CREATE FUNCTION note() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$BEGIN INSERT INTO public.hits VALUES (1); RETURN 1; END$$;"
        "CREATE VIEW writing AS SELECT note() AS n; CREATE VIEW sleeping AS SELECT pg_sleep(60)::text AS t;"
        "CREATE VIEW broken AS SELECT 1 / (random() * 0)::int AS n;"
        "GRANT SELECT ON writing, sleeping, broken TO anon, authenticated"
    )
    for name in ("writing", "sleeping", "broken"):
        proof = await probe_rows(scanned.acquire, table(name, ObjectType.VIEW), ROLES)
        assert set(outcomes(proof).values()) <= {ProbeOutcome.ERROR, ProbeOutcome.ROWS}, (name, proof)
    rows = await (await scanned.admin.execute("SELECT count(*) FROM hits")).fetchone()
    assert rows == (0,)


_SLOT = """
    CREATE ROLE reads_other; GRANT ALL ON SCHEMA public TO reads_other; SET ROLE reads_other;
    CREATE FUNCTION theirs() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RESET ROLE;
      PERFORM pg_create_physical_replication_slot('taken_by_theirs'); RETURN 1; EXCEPTION WHEN OTHERS THEN RETURN 1; END $$;
    CREATE FUNCTION still(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN public.theirs() + $1; END $$;
    CREATE TABLE rows (id int, other int); INSERT INTO rows VALUES (1, 1); GRANT ALL ON rows TO PUBLIC;
    CREATE VIEW below AS SELECT id FROM rows; GRANT ALL ON below TO PUBLIC;
"""


@pytest.mark.parametrize(
    "shape",
    [
        "ALTER TABLE rows ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON rows USING (theirs() = id)",
        "CREATE INDEX i ON rows ((still(1) + id))",
        "CREATE STATISTICS s ON (still(1) + id), other FROM rows",
        "CREATE OR REPLACE VIEW below AS SELECT id FROM rows WHERE theirs() = id",
        "RESET ROLE; CREATE OR REPLACE VIEW below AS SELECT id FROM rows WHERE theirs() = id; ALTER VIEW below OWNER TO postgres",
        (
            "CREATE OR REPLACE VIEW below WITH (security_invoker) AS SELECT id FROM rows; ALTER TABLE rows ENABLE ROW LEVEL"
            " SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON rows USING (theirs() = id)"
        ),
    ],
)
async def test_reading_runs_nothing_of_another_role_as_the_login(scanned: ScannedDatabase, shape: str) -> None:
    """A superuser reads what another role waits in, to act as the superuser. Replication slots survive a rollback."""
    try:
        owner = (await (await scanned.admin.execute("SELECT current_user")).fetchone() or ("",))[0]
        await scanned.run(f"{_SLOT}; {shape.replace('TO postgres', f'TO {owner}')}; RESET ROLE")
        await scanned.run("CREATE VIEW above AS SELECT id FROM below; GRANT ALL ON above TO PUBLIC")
        for name, kind in (("rows", ObjectType.TABLE), ("below", ObjectType.VIEW), ("above", ObjectType.VIEW)):
            proof = await probe_rows(scanned.acquire, table(name, kind), ROLES)
            slots = await (await scanned.admin.execute("SELECT slot_name FROM pg_replication_slots")).fetchall()
            assert slots == [], (name, proof)
        assert set(outcomes(proof).values()) == {ProbeOutcome.NOT_RUN}, proof
        assert proof.is_empty is None
    finally:
        await scanned.run(
            "RESET ROLE; SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots;"
            "DROP OWNED BY reads_other CASCADE; DROP ROLE reads_other"
        )


async def test_a_login_that_may_not_become_the_roles_proves_nothing(scanned: ScannedDatabase, plain_login: str) -> None:
    await scanned.run("CREATE TABLE open (id int); INSERT INTO open VALUES (1); GRANT SELECT ON open TO anon")
    async with open_pool(plain_login) as acquire:
        proof = await probe_rows(acquire, table("open"), ROLES)
    assert outcomes(proof) == {ANON: ProbeOutcome.NOT_RUN, USER: ProbeOutcome.NOT_RUN}
    assert all("may not become" in (one.reason or "") for one in proof.probes)
    assert proof.is_empty is None
    assert not proof.is_denied(READ)


async def test_a_database_without_the_roles_says_so(scanned: ScannedDatabase) -> None:
    await scanned.run("CREATE TABLE open (id int)")
    proof = await probe_rows(scanned.acquire, table("open"), frozenset())
    assert {one.reason for one in proof.probes} == {
        "The database has no role anon.", "The database has no role authenticated."
    }  # fmt: skip


async def test_hostile_names_are_names(scanned: ScannedDatabase) -> None:
    name = 'x"; DROP TABLE kept; --\\'
    quoted = name.replace('"', '""')
    await scanned.run(
        f'CREATE TABLE kept (id int); CREATE TABLE "{quoted}" (id int); GRANT SELECT ON "{quoted}" TO anon'
    )
    proof = await probe_rows(scanned.acquire, table(name), ROLES)
    assert outcomes(proof)[ANON] == ProbeOutcome.NONE
    await scanned.run("TABLE kept")


async def test_an_error_that_is_stored_quotes_no_value(scanned: ScannedDatabase) -> None:
    await scanned.run(
        """CREATE TABLE people (name text); INSERT INTO people VALUES ('hidden-1'); GRANT SELECT ON people TO anon;
        ALTER TABLE people ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON people TO anon USING (name::int > 0)"""
    )
    proof = await probe_rows(scanned.acquire, table("people"), ROLES)
    assert outcomes(proof)[ANON] == ProbeOutcome.ERROR
    assert proof.probes[0].reason == "The database refused with the error 22P02."
    await scanned.run(
        """CREATE FUNCTION refuse(name text) RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN RAISE check_violation USING MESSAGE = 'no ' || name; END $$; ALTER POLICY p ON people USING (refuse(name))"""
    )
    proof = await probe_rows(scanned.acquire, table("people"), ROLES)
    assert proof.probes[0].reason == "The database refused with the error 23514."
    await scanned.run("ALTER POLICY p ON people USING (EXISTS (SELECT FROM people))")
    proof = await probe_rows(scanned.acquire, table("people"), ROLES)
    assert "infinite recursion" in (proof.probes[0].reason or "")


@pytest.mark.parametrize(
    "setting", ["row_security = off", "quote_all_identifiers = on", "standard_conforming_strings = off"]
)
async def test_settings_of_the_database_change_no_outcome(scanned: ScannedDatabase, setting: str) -> None:
    """Without row security, reading what policies show was an error, and read as denied."""
    await scanned.run(
        """CREATE TABLE people (name text); INSERT INTO people VALUES ('a'), ('b'); GRANT SELECT ON people TO anon;
        ALTER TABLE people ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON people USING (name <> 'a\\')"""
    )
    before = [await run_rule(scanned.acquire, rule, ["public"]) for rule in list_rules()]
    await scanned.run(f'ALTER DATABASE "{scanned.dsn.rpartition("/")[2]}" SET {setting}')
    async with open_pool(scanned.dsn) as acquire:
        proof = await probe_rows(acquire, table("people"), ROLES)
        after = [await run_rule(acquire, rule, ["public"]) for rule in list_rules()]
    first = proof.probes[0]
    assert (first.caller, first.outcome, first.rows) == (ANON, ProbeOutcome.ROWS, 2)
    assert [(one.state, one.found) for one in after] == [(one.state, one.found) for one in before]


def test_the_request_that_is_shown_runs_nothing_else_in_a_shell() -> None:
    hostile = "x' -o /dev/null; touch /tmp/owned #$(id)`id`\n"
    for found in (ScannedObject(ObjectType.TABLE, hostile, hostile), ScannedObject(ObjectType.VIEW, "a b", "ä'\"")):
        words = shlex.split(make_request(found).replace("\\\n", ""))
        assert words[:1] + words[2:5] == ["curl", "-H", "apikey: <the public key>", "-H"]
        assert words[5:] == [f"Accept-Profile: {found.schema}"]
