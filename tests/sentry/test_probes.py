"""What two made-up users and a stranger can do with another's row: holes, safe look-alikes, and that nothing remains."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import psycopg
import pytest

from basewarden.sentry.probes.bringing import RowBringer
from basewarden.sentry.probes.facts import ProbedTable
from basewarden.sentry.probes.transaction import WriteTransaction
from basewarden.sentry.probes.tries import MOST_UNFILTERED, probe_writes
from basewarden.sentry.rule import WRITES, ObjectType, ProbeAttempt, ScannedObject, Severity
from basewarden.sentry.scans.probing import ProbeCaller, ProbeOutcome, Proof, RowProbe
from basewarden.sentry.scans.severity import weigh
from pgrest import DatabaseError, Rows, Statement
from tests.sentry.conftest import Acquire, ScannedDatabase, open_pool

DENIED = ProbeOutcome.DENIED
OWN = "user_id = (SELECT auth.uid())"
NOTES = (
    "CREATE TABLE notes (id serial PRIMARY KEY, user_id uuid NOT NULL REFERENCES auth.users, body text NOT NULL,"
    " is_public boolean NOT NULL DEFAULT false); ALTER TABLE notes ENABLE ROW LEVEL SECURITY;"
    "GRANT ALL ON notes TO anon, authenticated;"
)
LIST = (
    "CREATE TABLE notes (id int PRIMARY KEY, word text); ALTER TABLE notes ENABLE ROW LEVEL SECURITY;"
    "GRANT ALL ON notes TO anon, authenticated;"
)
STAMP = (
    "ALTER TABLE notes ADD changed timestamptz; CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN NEW.changed = now(); RETURN NEW; END $$;"
    "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION stamp();"
)
TRIGGERED = (
    "CREATE FUNCTION draw() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('drawn'); RETURN NEW; END $$;"
    "CREATE SEQUENCE drawn; CREATE TRIGGER draw AFTER {} ON {} FOR EACH STATEMENT EXECUTE FUNCTION draw();"
)
_SHORT = {"r": "select", "a": "insert", "w": "update", "d": "delete", "h": "hand_over"}
_OUTCOMES = {"+": "rows", "0": "none", "-": "denied", "!": "error", "?": "not_run"}
NO_ONE = {"anon": "r0a-w0d0", "user_a": "r0a-w0d0h-", "user_b": "r+a+w+d+"}


class ProbedCase(NamedTuple):
    """`says`, by caller: r(ead), a(dd), w(rite), d(elete), h(and over), each with + rows, 0 none, - denied, ? not run."""

    name: str
    script: str
    says: Mapping[str, str]
    undo: str = ""


CASES = [
    ProbedCase("the owner alone", NOTES + f"CREATE POLICY p ON notes USING ({OWN})", NO_ONE),
    ProbedCase(
        "always true", NOTES + "CREATE POLICY p ON notes USING (true)",
        {"anon": "r+a+w+d+", "user_a": "r+a+w+d+h+", "user_b": "r+a+w+d+"},
    ),
    ProbedCase(
        "a tautology on a list without owners", LIST + "CREATE POLICY p ON notes USING (word IS NULL OR word = word)",
        {"anon": "r+a+w+d+", "user_a": "r+a+w+d+"},
    ),
    ProbedCase(
        "signed in is not owner", NOTES + "CREATE POLICY p ON notes USING (auth.role() = 'authenticated')",
        {"anon": "r0a-w0d0", "user_a": "r+a+w+d+h+"},
    ),
    ProbedCase(
        "every user reads every tenant", NOTES + f"CREATE POLICY p ON notes USING ({OWN});"
        "CREATE POLICY r ON notes FOR SELECT TO authenticated USING (true)",
        {"anon": "r0a-w0d0", "user_a": "r+a-w0d0h-"},
    ),
    ProbedCase(
        "a row that changes hands", NOTES + f"CREATE POLICY r ON notes FOR SELECT USING ({OWN});"
        f"CREATE POLICY p ON notes FOR UPDATE USING ({OWN}) WITH CHECK (true)",
        {"user_a": "r0w0d0h+", "anon": "r0w0d0", "user_b": "r+w+d0"},
    ),
    ProbedCase(
        "no check is the check of USING", NOTES + f"CREATE POLICY r ON notes FOR SELECT USING (true);"
        f"CREATE POLICY p ON notes FOR UPDATE USING ({OWN})", {"user_a": "r+a-w0d0h-", "user_b": "w+d0"},
    ),
    ProbedCase(
        "the owner's column is not granted", NOTES + f"CREATE POLICY p ON notes USING ({OWN}) WITH CHECK (true);"
        "REVOKE UPDATE, INSERT ON notes FROM authenticated; GRANT UPDATE (body), INSERT (body) ON notes TO authenticated",
        {"user_a": "r0a-w0d0h-", "user_b": "r+a-w+d+"},
    ),
    ProbedCase(
        "the caller says whose it is", NOTES + "CREATE POLICY p ON notes FOR INSERT WITH CHECK (auth.uid() IS NOT NULL)",
        {"anon": "a-", "user_a": "r0a+w0d0h0"},
    ),
    ProbedCase(
        "a check of another column only", NOTES.replace("body text NOT NULL", "body text")
        + "CREATE POLICY p ON notes FOR INSERT WITH CHECK (body <> '')", {"anon": "a+", "user_a": "a+"},
    ),
    ProbedCase(
        "guests may and users may not", NOTES + "CREATE POLICY p ON notes USING (auth.uid() IS NULL)",
        {"anon": "r+w+d+", "user_a": "r0w0d0", "user_b": "r0w0d0"},
    ),
    ProbedCase(
        "deleted without a filter by who may not read", LIST + "REVOKE SELECT ON notes FROM anon;"
        "CREATE POLICY d ON notes FOR DELETE USING (true)", {"anon": "r-a-w0d+", "user_a": "w0d+"},
    ),
    ProbedCase("row level security is off", NOTES + "ALTER TABLE notes DISABLE ROW LEVEL SECURITY",
               {"anon": "r+a+w+d+", "user_a": "r+a+w+d+h+"}),
    ProbedCase("no privilege", NOTES + "CREATE POLICY p ON notes USING (true); REVOKE ALL ON notes FROM anon",
               {"anon": "r-a-w-d-", "user_a": "r+a+w+d+"}),
    ProbedCase(
        "a restrictive policy narrows", NOTES + "CREATE POLICY p ON notes USING (true);"
        f"CREATE POLICY own ON notes AS RESTRICTIVE USING ({OWN})", NO_ONE,
    ),
    ProbedCase(
        "a column by a claim's text", "CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), holder text);"
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; GRANT ALL ON notes TO anon, authenticated; CREATE POLICY p ON notes"
        " USING (holder = current_setting('request.jwt.claims', true)::json ->> 'sub')", NO_ONE,
    ),
    ProbedCase(
        "a column by email", "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text);"
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; GRANT ALL ON notes TO anon, authenticated;"
        "CREATE POLICY p ON notes USING (email = auth.email())", NO_ONE,
    ),
    ProbedCase(
        "a profile whose key is the user", "CREATE TABLE notes (id uuid PRIMARY KEY REFERENCES auth.users, nick text);"
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; GRANT ALL ON notes TO anon, authenticated;"
        "CREATE POLICY p ON notes USING (id = auth.uid())", NO_ONE,
    ),
    ProbedCase(
        "an owner by way of a profile", "CREATE TABLE profiles (id uuid PRIMARY KEY REFERENCES auth.users, nick text NOT NULL"
        " UNIQUE); CREATE TABLE notes (id int PRIMARY KEY, author uuid NOT NULL REFERENCES profiles);"
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; GRANT ALL ON notes TO anon, authenticated;"
        "CREATE POLICY p ON notes USING (author = auth.uid())", NO_ONE,
    ),
    ProbedCase(
        "types, checks, enums, domains and other tables", "CREATE TYPE mood AS ENUM ('calm', 'loud');"
        "CREATE DOMAIN rank AS int CHECK (VALUE BETWEEN 3 AND 5) NOT NULL; CREATE TABLE teams (id int PRIMARY KEY, name"
        " varchar(8) NOT NULL); CREATE TABLE notes (id bigserial PRIMARY KEY, user_id uuid NOT NULL, team_id int NOT NULL"
        " REFERENCES teams, mood mood NOT NULL, rank rank, state text NOT NULL CHECK (state IN ('open', 'done')),"
        " email text NOT NULL CHECK (email LIKE '%@%'), tags text[] NOT NULL, at timestamptz NOT NULL, extra jsonb NOT NULL,"
        " size numeric(4, 2) NOT NULL CHECK (size > 2)); ALTER TABLE notes ENABLE ROW LEVEL SECURITY;"
        f"GRANT ALL ON notes TO anon, authenticated; CREATE POLICY p ON notes USING ({OWN})", NO_ONE,
    ),
    ProbedCase(
        "a partition takes the row", "CREATE TABLE notes (id int, user_id uuid) PARTITION BY RANGE (id);"
        "CREATE TABLE part PARTITION OF notes DEFAULT; ALTER TABLE notes ENABLE ROW LEVEL SECURITY;"
        f"GRANT ALL ON notes TO anon, authenticated; CREATE POLICY p ON notes USING ({OWN})", NO_ONE,
    ),
    ProbedCase(
        "defaults that draw numbers within an expression", NOTES + "CREATE SEQUENCE drawn; CREATE FUNCTION make_code()"
        " RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'C' || nextval('drawn'); END $$; CREATE DOMAIN code AS text"
        " DEFAULT 'X' || nextval('drawn'); CREATE DOMAIN made AS text DEFAULT make_code(); ALTER TABLE notes"
        " ADD invoice text NOT NULL DEFAULT 'INV-' || nextval('drawn'), ADD twice int DEFAULT nextval('drawn') * 2,"
        f" ADD code text NOT NULL DEFAULT make_code(), ADD x code, ADD y made NOT NULL; CREATE POLICY p ON notes USING ({OWN})",
        NO_ONE,
    ),
    ProbedCase(
        "a number that a role may not set", NOTES + f"CREATE POLICY p ON notes USING ({OWN}); REVOKE INSERT ON notes FROM"
        " authenticated; GRANT INSERT (user_id, body) ON notes TO authenticated; GRANT USAGE ON SEQUENCE notes_id_seq TO"
        " authenticated", {"anon": "r0a-w0d0", "user_a": "r0a?w0d0h-", "user_b": "r+a?w+d+"},
    ),
    ProbedCase(
        "a new key that other tables follow", NOTES.replace("uuid NOT NULL", "uuid NOT NULL UNIQUE") + "CREATE TABLE words (owner uuid REFERENCES"
        " notes (user_id) ON UPDATE CASCADE);" + TRIGGERED.format("UPDATE", "words").replace("AFTER", "BEFORE")
        + "CREATE POLICY p ON notes USING (true)", {"anon": "r+a+w+d+", "user_a": "r+a+w+d+h?"},
    ),
    ProbedCase(
        "a row that deletes itself into another partition", "CREATE TABLE notes (user_id uuid NOT NULL, word text)"
        " PARTITION BY HASH (user_id); CREATE TABLE one PARTITION OF notes FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
        "GRANT ALL ON notes TO anon, authenticated;" + TRIGGERED.format("DELETE", "one").replace("STATEMENT", "ROW"),
        {"anon": "r+a+w?d?", "user_a": "r+a+w?d?h?"},
    ),
    ProbedCase(
        "a list that follows itself", LIST + "ALTER TABLE notes ADD next int REFERENCES notes ON DELETE SET NULL;"
        + TRIGGERED.format("UPDATE", "notes").replace("AFTER", "BEFORE") + "CREATE POLICY p ON notes USING (true)",
        {"anon": "r+a+w?d?", "user_a": "r+a+w?d?"},
    ),
    ProbedCase("a trigger that only notes the time", NOTES + STAMP + f"CREATE POLICY p ON notes USING ({OWN})", NO_ONE),
    ProbedCase(
        "a trigger of the project on inserts", NOTES + TRIGGERED.format("INSERT", "notes") + "CREATE POLICY p ON notes USING (true)",
        {"anon": "a?w+d+", "user_a": "a?w+d+h+"},
    ),
    ProbedCase(
        "a trigger behind a cascade", NOTES + "CREATE TABLE words (note int REFERENCES notes ON DELETE CASCADE);"
        + TRIGGERED.format("DELETE", "words") + "CREATE POLICY p ON notes USING (true)", {"user_a": "a+w+d?h+"},
    ),
    ProbedCase(
        "a rewrite rule", NOTES + "CREATE RULE r AS ON DELETE TO notes DO ALSO NOTHING; CREATE POLICY p ON notes USING (true)",
        {"anon": "r?a?w?d?", "user_a": "a?w?d?h?"},
    ),
    ProbedCase(
        "a column that cannot be filled", "CREATE TYPE pair AS (a int, b int); CREATE TABLE notes (id pair NOT NULL);"
        "GRANT ALL ON notes TO anon, authenticated", {"anon": "r?a?w?d?", "user_a": "r?a?w?d?"},
    ),
    ProbedCase(
        "a column that cannot be filled, and rows that are there", "CREATE TYPE pair AS (a int, b int);"
        "CREATE TABLE notes (id pair NOT NULL, word text); INSERT INTO notes VALUES ((1, 2), 'hidden-1');"
        "GRANT ALL ON notes TO anon, authenticated", {"anon": "r+a?w+d+"},
    ),
    ProbedCase(
        "a default of another role's function", "CREATE ROLE probes_other; CREATE FUNCTION theirs() RETURNS text LANGUAGE"
        " plpgsql AS $$ BEGIN PERFORM nextval('drawn'); RETURN ''; END $$; ALTER FUNCTION theirs() OWNER TO probes_other;"
        "CREATE SEQUENCE drawn; GRANT ALL ON SEQUENCE drawn TO PUBLIC;" + NOTES
        + f"ALTER TABLE notes ADD x text DEFAULT theirs(), ADD y text NOT NULL DEFAULT theirs();"
        f"CREATE POLICY p ON notes USING ({OWN})", NO_ONE, "DROP OWNED BY probes_other CASCADE; DROP ROLE probes_other",
    ),
    *(
        ProbedCase(
            f"another role's function in {what}", "CREATE ROLE probes_other; CREATE FUNCTION theirs(int) RETURNS boolean"
            " LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM nextval('drawn'); RETURN true; END $$; CREATE SEQUENCE drawn;"
            "GRANT ALL ON SEQUENCE drawn TO PUBLIC; CREATE OPERATOR === (FUNCTION = theirs, RIGHTARG = int);"
            "ALTER FUNCTION theirs(int) OWNER TO probes_other; CREATE DOMAIN dom AS int;" + NOTES + script,
            {"anon": says, "user_a": says}, "DROP OWNED BY probes_other CASCADE; DROP ROLE probes_other",
        )
        for what, script, says in (
            ("a check", "ALTER TABLE notes ADD CHECK (theirs(id))", "r?a?w?d?"),
            ("an operator of a check", "ALTER TABLE notes ADD CHECK (=== id)", "r?a?w?d?"),
            ("a generated column", "ALTER TABLE notes ADD g boolean GENERATED ALWAYS AS (theirs(id)) STORED", "r?a?w?d?"),
            ("an index", "CREATE INDEX i ON notes (theirs(id))", "r?a?w?d?"),
            ("a domain", "ALTER DOMAIN dom ADD CHECK (theirs(VALUE)); ALTER TABLE notes ADD d dom", "r?a?w?d?"),
            ("a policy", "CREATE POLICY p ON notes USING (theirs(id))", "r?a?w?d?"),
            ("a view that a policy reads", ("CREATE VIEW m AS SELECT 1 AS id WHERE theirs(1); GRANT SELECT ON m TO anon,"
             "authenticated; CREATE POLICY p ON notes USING (id IN (SELECT id FROM m))"), "r?a?w?d?"),
            ("a table that a policy reads", ("CREATE TABLE m (id int); ALTER TABLE m ENABLE ROW LEVEL SECURITY;"
             "CREATE POLICY o ON m USING (theirs(id)); GRANT SELECT ON m TO anon, authenticated;"
             "CREATE POLICY p ON notes USING (id IN (SELECT id FROM m))"), "r?a?w?d?"),
        )
    ),
]  # fmt: skip


def read_says(probes: Sequence[RowProbe]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for one in probes:
        found.setdefault(one.caller, {})[one.attempt] = one.outcome
    return found


async def probe(acquire: Acquire) -> Sequence[RowProbe]:
    async with acquire() as connection:
        return await probe_writes(connection, ScannedObject(ObjectType.TABLE, "public", "notes"))


async def dump(scanned: ScannedDatabase) -> str:
    """All rows of all tables of the project, and where its sequences are."""
    listed = await scanned.admin.execute(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'S') AND n.nspname IN ('public', 'auth', 'storage') ORDER BY 1"
    )
    rows = []
    for (name,) in await listed.fetchall():
        found = await scanned.admin.execute(f"SELECT t::text FROM (SELECT * FROM {name}) AS t ORDER BY 1".encode())
        rows.append((name, await found.fetchall()))
    return repr(rows)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_hole_and_its_look_alike_differ_and_nothing_remains(scanned: ScannedDatabase, case: ProbedCase) -> None:
    try:
        await scanned.run(case.script)
        before = await dump(scanned)
        probes = await probe(scanned.acquire)
        assert await dump(scanned) == before
    finally:
        if case.undo:
            await scanned.run(case.undo)
    found = read_says(probes)
    for caller, says in case.says.items():
        wanted = {_SHORT[says[n]]: _OUTCOMES[says[n + 1]] for n in range(0, len(says), 2)}
        assert {name: found[caller].get(name) for name in wanted} == wanted, (caller, probes)
    assert all(one.reason for one in probes if one.outcome == "not_run"), probes
    assert "hidden-" not in repr(probes)


OPEN = NOTES + "CREATE POLICY p ON notes USING (true)"


async def test_a_plain_owner_brings_what_the_row_refers_to(scanned: ScannedDatabase, plain_login: str) -> None:
    """It cannot rest foreign keys and triggers, so that a user's row needs a user."""
    await scanned.run(
        OPEN.replace("USING (true)", f"USING ({OWN})") + ";ALTER TABLE notes OWNER TO sentry_plain;"
        "GRANT anon, authenticated TO sentry_plain; GRANT ALL ON SCHEMA auth TO sentry_plain;"
        "ALTER TABLE auth.users OWNER TO sentry_plain"
    )
    try:
        before = await dump(scanned)
        async with open_pool(plain_login) as acquire:
            found = read_says(await probe(acquire))
            assert (found["user_b"]["select"], found["user_a"]["select"]) == ("rows", "none"), found
            assert (found["user_b"]["insert"], found["user_a"]["insert"]) == ("rows", "denied"), found
            assert await dump(scanned) == before
            await scanned.run(TRIGGERED.format("INSERT", "auth.users"))
            probes = await probe(acquire)
        assert {one.outcome for one in probes if one.attempt == "select"} == {"not_run"}, probes
        assert "could be brought" in str(probes[0].reason)
    finally:
        await scanned.run("DROP OWNED BY sentry_plain CASCADE; REVOKE anon, authenticated FROM sentry_plain")


_LAID = """
    CREATE ROLE probes_other; GRANT ALL ON SCHEMA public TO probes_other; CREATE SEQUENCE drawn;
    SET ROLE probes_other;
    CREATE FUNCTION theirs() RETURNS text LANGUAGE plpgsql AS
      $$ BEGIN RESET ROLE; PERFORM nextval('public.drawn'); RETURN ''; END $$;
    CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.theirs(); RETURN NEW; END $$;
    CREATE FUNCTION still(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
      PERFORM nextval('public.drawn'); RETURN 1; EXCEPTION WHEN OTHERS THEN RETURN 1; END $$;
    CREATE FUNCTION now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT theirs(); SELECT pg_catalog.now() $$;
"""


@pytest.mark.parametrize(
    "shape",
    [
        "CREATE TABLE notes (id int, word text DEFAULT theirs())",
        "CREATE TABLE notes (id int CHECK (theirs() = ''))",
        "CREATE TABLE notes (id int); CREATE INDEX i ON notes ((still(1) + id))",
        "CREATE TABLE notes (id int, other int); CREATE STATISTICS s ON (still(1) + id), other FROM notes",
        "CREATE TABLE notes (id int); CREATE TRIGGER t BEFORE INSERT ON notes EXECUTE FUNCTION fired()",
        (
            "CREATE TABLE notes (id int); CREATE TRIGGER t BEFORE INSERT ON notes EXECUTE FUNCTION fired(); ALTER TABLE notes"
            " ENABLE ALWAYS TRIGGER t"
        ),
        (
            "CREATE TABLE notes (id int); CREATE TRIGGER t BEFORE UPDATE ON notes FOR EACH ROW WHEN (theirs() = '')"
            " EXECUTE FUNCTION fired()"
        ),
        (
            "CREATE TYPE odd AS ENUM ('x'); CREATE FUNCTION cast_it(timestamptz) RETURNS odd LANGUAGE plpgsql AS $$ BEGIN"
            " PERFORM public.theirs(); RETURN 'x'; END $$; CREATE TABLE notes (id int, changed odd);"
            "RESET ROLE; CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed = now(); RETURN NEW;"
            " END $$; SET ROLE probes_other; CREATE CAST (timestamptz AS odd) WITH FUNCTION cast_it AS ASSIGNMENT;"
            "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION stamp()"
        ),
        "CREATE TABLE notes (id int); CREATE RULE r AS ON INSERT TO notes DO ALSO SELECT theirs()",
        (
            "CREATE TABLE notes (id int); ALTER TABLE notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
            "CREATE POLICY p ON notes USING (theirs() = '')"
        ),
        (
            "CREATE TABLE notes (id int, word text) PARTITION BY LIST ((id % 2));"
            "CREATE TABLE part PARTITION OF notes (word DEFAULT theirs()) DEFAULT"
        ),
        (
            "CREATE TABLE kinds (id int PRIMARY KEY, word text CHECK (theirs() = '')); CREATE TABLE notes (id int NOT NULL"
            " REFERENCES kinds)"
        ),
    ],
)
async def test_a_table_of_another_role_runs_nothing_as_the_login(scanned: ScannedDatabase, shape: str) -> None:
    """A superuser scans a table whose owner waits for that, to act as the superuser. Sequences survive a rollback."""
    try:
        await scanned.run(f"{_LAID}; {shape}; GRANT ALL ON notes TO anon, authenticated; RESET ROLE")
        probes = await probe(scanned.acquire)
        drawn = await (await scanned.admin.execute("SELECT is_called FROM drawn")).fetchone()
        assert drawn == (False,), probes
    finally:
        await scanned.run("RESET ROLE; DROP OWNED BY probes_other CASCADE; DROP ROLE probes_other")


async def test_a_row_that_is_given_away_by_other_values_is_not_refused(scanned: ScannedDatabase) -> None:
    """The check asks for another value than the brought row has: its owner is refused, too, with or without a new owner."""
    await scanned.run(
        NOTES + f"CREATE POLICY r ON notes FOR SELECT USING (true); CREATE POLICY p ON notes FOR UPDATE USING ({OWN})"
    )
    hands = (ProbeAttempt.HAND_OVER,)
    assert Proof(await probe(scanned.acquire)).disproves(hands)
    await scanned.run(f"ALTER POLICY p ON notes USING ({OWN}) WITH CHECK (is_public)")
    probes = await probe(scanned.acquire)
    assert read_says(probes)["user_a"]["hand_over"] == "denied"
    assert not Proof(probes).disproves(hands)


async def test_a_probe_that_is_killed_leaves_nothing(scanned: ScannedDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each step: the connection ends, and what it began is gone."""
    await scanned.run(OPEN)
    before, steps = await dump(scanned), 0
    run = WriteTransaction.attempt

    async def kill(transaction: WriteTransaction, statements: Sequence[Statement]) -> Rows | DatabaseError:
        nonlocal steps
        steps += 1
        if steps == at:
            await scanned.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state = 'idle in transaction'"
            )
        return await run(transaction, statements)

    monkeypatch.setattr(WriteTransaction, "attempt", kill)
    for at in (1, 3, 8, 12):  # noqa: B007 - `kill` reads it
        steps = 0
        probes = await probe(scanned.acquire)
        assert {one.outcome for one in probes} == {"not_run"}, probes
        assert all(one.reason for one in probes)
        assert await dump(scanned) == before
    steps, at = 0, 0
    await probe(scanned.acquire)
    assert steps > 12


async def test_what_a_row_refers_to_is_renamed_meanwhile(
    scanned: ScannedDatabase, plain_login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scanned.run(
        "CREATE TABLE parents (id int PRIMARY KEY); INSERT INTO parents VALUES (1);"
        f"{LIST} ALTER TABLE notes ADD parent int NOT NULL REFERENCES parents; CREATE POLICY p ON notes USING (true);"
        "ALTER TABLE notes OWNER TO sentry_plain; ALTER TABLE parents OWNER TO sentry_plain;"
        "GRANT anon, authenticated TO sentry_plain"
    )
    look_at, renames = RowBringer.look_at, ["ALTER TABLE parents RENAME id TO number"]

    async def rename_and_look(bringer: RowBringer, schema: str, name: str) -> ProbedTable:
        if name == "parents" and renames:
            await scanned.run(renames.pop())
        return await look_at(bringer, schema, name)

    monkeypatch.setattr(RowBringer, "look_at", rename_and_look)
    try:
        async with open_pool(plain_login) as acquire:
            probes = await probe(acquire)
        assert {one.outcome for one in probes if one.attempt == "select"} == {"not_run"}, probes
        assert "It refers to parents, of which no row can be chosen." in str(probes[0].reason)
    finally:
        await scanned.run("DROP OWNED BY sentry_plain CASCADE; REVOKE anon, authenticated FROM sentry_plain")


async def test_a_busy_table_is_not_waited_for(scanned: ScannedDatabase) -> None:
    await scanned.run(OPEN)
    async with await psycopg.AsyncConnection.connect(scanned.dsn) as other:
        await other.execute("LOCK TABLE notes IN SHARE MODE")
        probes = await probe(scanned.acquire)
    assert {one.outcome for one in probes} == {"not_run"}
    assert "could not be locked" in str(probes[0].reason)


async def test_a_large_table_is_not_written_without_a_filter(scanned: ScannedDatabase) -> None:
    """A refusal with a filter then proves nothing: who may not read a row may still delete all of them."""
    await scanned.run(
        LIST + f"INSERT INTO notes SELECT n FROM generate_series(1, {MOST_UNFILTERED + 5}) n;"
        "CREATE POLICY d ON notes FOR DELETE USING (true)"
    )
    probes = await probe(scanned.acquire)
    tried = [one for one in probes if one.attempt == "delete" and one.caller != "user_b"]
    assert [(one.outcome, one.is_partial) for one in tried] == [("none", True)] * 2
    assert not Proof(probes).disproves(WRITES)
    await scanned.run("DELETE FROM notes WHERE id > 3")
    found = read_says(await probe(scanned.acquire))
    assert found["anon"]["delete"] == "rows"


def test_severity_follows_what_was_tried() -> None:
    def make(caller: ProbeCaller, outcome: ProbeOutcome, attempt: ProbeAttempt) -> RowProbe:
        return RowProbe(caller, outcome, attempt=attempt, is_brought=True)

    def weigh_all(a: ProbeOutcome, b: ProbeOutcome, anon: ProbeOutcome = DENIED) -> Severity:
        by = {ProbeCaller.ANON: anon, ProbeCaller.USER_A: a, ProbeCaller.USER_B: b}
        proof = Proof([make(one, outcome, attempt) for one, outcome in by.items() for attempt in WRITES])
        return weigh(Severity.CRITICAL, proof, WRITES)

    rows, none = ProbeOutcome.ROWS, ProbeOutcome.NONE
    assert weigh_all(rows, rows) is Severity.CRITICAL
    assert weigh_all(none, rows) is Severity.WARNING
    assert weigh_all(none, none) is Severity.CRITICAL, "without the control nothing is proved"
    assert weigh_all(ProbeOutcome.NOT_RUN, rows) is Severity.CRITICAL
    hands = (ProbeAttempt.HAND_OVER,)
    given = make(ProbeCaller.USER_A, rows, ProbeAttempt.HAND_OVER)
    assert weigh(Severity.WARNING, Proof([given]), hands) is Severity.WARNING
    asked = [make(one, DENIED, ProbeAttempt.INSERT) for one in ProbeCaller]
    assert weigh(Severity.WARNING, Proof(asked), (ProbeAttempt.INSERT,)) is Severity.WARNING, "who is let in?"
    refused = make(ProbeCaller.USER_A, DENIED, ProbeAttempt.HAND_OVER)
    assert weigh(Severity.WARNING, Proof([refused]), hands) is Severity.INFO
    unread = [make(one, DENIED, ProbeAttempt.SELECT) for one in ProbeCaller]
    untried = [make(one, ProbeOutcome.NOT_RUN, attempt) for one in ProbeCaller for attempt in WRITES]
    all_of_it = (ProbeAttempt.SELECT, *WRITES)
    assert weigh(Severity.CRITICAL, Proof([*unread, *untried]), all_of_it) is Severity.CRITICAL, "none tried to write"
    assert weigh(Severity.CRITICAL, Proof(unread), (ProbeAttempt.SELECT,)) is Severity.WARNING
    deleted = make(ProbeCaller.ANON, rows, ProbeAttempt.DELETE)
    assert weigh(Severity.WARNING, Proof([deleted]), WRITES) is Severity.CRITICAL
