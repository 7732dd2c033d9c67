"""Every endpoint. What is marked stable changes only with a major version."""

from basewarden.operations.api.accounts import ACCOUNT, PASSKEYS, SIGNIN, TWO_FACTOR
from basewarden.operations.api.billing import BILLING
from basewarden.operations.api.entries import Group, call, no, ok
from basewarden.web import CallerKind

_ANYONE, _PERSON, _MEMBER, _AGENT = CallerKind.ANYONE, CallerKind.PERSON, CallerKind.MEMBER, CallerKind.AGENT
_CONNECTION = "id, name, environment, hasKey, hasPostgresUrl, role, dbRole, member, serverVersion, createdAt"
_SESSION = (
    "id, agent, caller, kind, label, capture, startedAt, lastSeenAt, status, frozenAt, frozenReason, writeCount,"
    " mutationCount, pendingCount, unknownCount, refusedCount, tables, undoOf"
)
_FRESH = no(403, "reauth_required", "the last proof of who you are is older than ten minutes")
_ONE = "/api/connections/{connection_id}"
_TRIED = no(429, "rate_limited", "a database was tried too often; Retry-After says when the next try counts")
_DATA = "/api/v/{connection_id}"

OPERATIONAL = Group(
    "operational",
    "Operational",
    "For whoever runs the deployment.",
    (
        call(
            "GET",
            "/api/health",
            _ANYONE,
            "Whether it works. Asks the database at most once a second; one that hangs counts as down within two.",
            ok("status db email billing observability version", "status is ok; the others say what is set up"),
            no(503, "unavailable", "just the same six fields, with status degraded and db false"),
            stable=True,
        ),
        call(
            "GET",
            "/api/health/live",
            _ANYONE,
            "Whether the process answers; asks nothing of anything.",
            ok("status"),
        ),
        call(
            "POST",
            "/api/cron/retention",
            CallerKind.SCHEDULER,
            "Deletes what has been kept for long enough. It runs once a day by itself; two at once do no harm.",
            ok("pruned, durationMs", "pruned is rows by table, every table that retention looks after, also with 0"),
            no(503, "not_configured", "no CRON_SECRET is set"),
            stable=True,
        ),
    ),
)

CONNECTIONS = Group(
    "connections",
    "Connections and agents",
    "Secrets go in and never come back.",
    (
        call(
            "GET",
            "/api/connections",
            _PERSON,
            "Those one is a member of.",
            ok("connections, nextCursor"),
            query="cursor?, limit?",
        ),
        call(
            "POST",
            "/api/connections",
            _PERSON,
            "url and key are a Supabase project's, postgresUrl any Postgres; both give the database itself. Tries what"
            " is given first, then seals it.",
            ok(_CONNECTION, status=201),
            no(402, "plan_limit", "the plan has no room for another; details has limit and plan"),
            _TRIED,
            body="name, environment?, url?, key?, postgresUrl?, dbRole?",
        ),
        call("GET", _ONE, _MEMBER, "One connection.", ok(_CONNECTION)),
        call(
            "PATCH",
            _ONE,
            _MEMBER,
            "Changes what is sent; null takes an address, or URL and key, away. One of the two must stay, and another"
            " URL needs its key again. A new address, key or role needs a fresh sign-in.",
            ok(_CONNECTION),
            _FRESH,
            _TRIED,
            body="name?, environment?, url?, key?, postgresUrl?, dbRole?",
        ),
        call("DELETE", _ONE, _MEMBER, "Deletes it with its agents and its journal.", ok(status=204), _FRESH),
        call(
            "GET",
            f"{_ONE}/health",
            _MEMBER,
            "Tries the connection now.",
            ok(
                "ok, backend, reason, message, hint, serverVersion, latencyMs, loginRole, usesTls, isSuperuser,"
                " bypassesRls, isReadOnly, tables, readableTables, writableTables, roles, keyRole, tellsSchema, schemas"
            ),
            _TRIED,
        ),
        call(
            "GET",
            f"{_ONE}/agents",
            _MEMBER,
            "Its agents; never a token.",
            ok("agents, nextCursor"),
            query="cursor?, limit?",
        ),
        call(
            "POST",
            f"{_ONE}/agents",
            _MEMBER,
            "A new agent. A table or function that the project does not have is refused by name.",
            ok("id, token", "the token is shown this once", 201),
            _FRESH,
            no(503, "tables_unchecked", "the project is away, so its tables cannot be looked at"),
            body="name, access, tables?, dbRole?, claims?, maxRowsPerWrite?, maxWritesPerSession?, expiresAt?",
        ),
        call("DELETE", f"{_ONE}/agents/{{agent_id}}", _MEMBER, "Revokes its token at once.", ok(status=204)),
    ),
)

SESSIONS = Group(
    "sessions",
    "Sessions and undo",
    "What was written, and how to take it back.",
    (
        call(
            "GET",
            f"{_ONE}/sessions",
            _MEMBER,
            "Sessions, the newest first.",
            ok("sessions, nextCursor"),
            query="cursor?, limit?, status?",
        ),
        call(
            "GET",
            f"{_ONE}/sessions/{{session_id}}",
            _MEMBER,
            "A session and its mutations in order; nextAfter goes on where a long one was cut.",
            ok(f"{_SESSION}, writes, mutations, nextAfter"),
            query="after?",
        ),
        call(
            "POST",
            f"{_ONE}/sessions/{{session_id}}/freeze",
            _MEMBER,
            "It takes no more writes until it is released. Using up its budget of writes does the same.",
            ok(_SESSION),
            no(409, "not_freezable", "it is an undo's own session"),
        ),
        call(
            "POST",
            f"{_ONE}/sessions/{{session_id}}/release",
            _MEMBER,
            "It takes writes again, with a whole new budget.",
            ok(_SESSION),
        ),
        call(
            "GET",
            f"{_ONE}/refusals",
            _MEMBER,
            "Requests of agents that policy refused, the newest first. Those of one kind and hour are one entry with a"
            " count; the summary holds no values.",
            ok("refusals, nextCursor"),
            query="agent?, code?, since?, cursor?, limit?",
        ),
        call(
            "POST",
            f"{_ONE}/sessions/{{session_id}}/undo",
            _MEMBER,
            "Shows what an undo would do, or does it: mode is preview or apply, onConflict refuse or skip. Over a"
            " project's own API it goes request by request: should one be refused on the way, conflicts says which rows"
            " did not go back.",
            ok(
                "planned, reverted, skipped, alreadyAsBefore, conflicts, irreversible, notes, undoSessionId,"
                " previewToken",
                "a receipt",
            ),
            no(
                409,
                "undo_conflict",
                "others have changed the same since; details is the receipt, and nothing is changed",
            ),
            no(409, "preview_stale", "what would be done is not what was previewed; details is the new receipt"),
            no(409, "already_undone", "nothing is left to take back"),
            no(409, "rows_locked", "another transaction in the project's database has locked the rows"),
            no(409, "project_read_only", "the project's database is read-only"),
            no(413, "undo_too_large", "the session holds more data than one undo may read"),
            no(413, "undo_too_complex", "the undo passes a limit of the project's database"),
            no(502, "project_failed", "the project's database reported an internal error"),
            no(503, "project_exhausted", "the project's database is out of disk space, memory or connections"),
            no(504, "query_timeout", "the project's database stopped the undo at its time limit"),
            no(409, "session_pending", "a write is still open in the project's database"),
            no(409, "undo_running", "somebody else is at it"),
            no(409, "write_conflict", "a race for the same rows was lost"),
            no(503, "project_unavailable", "the project's database is away"),
            no(503, "undo_unsettled", "it is not known yet what became of it"),
            body="mode, onConflict?, previewToken?",
        ),
    ),
)

DATA = Group(
    "data",
    "A connection's data",
    "PostgREST's contract: createClient(“<origin>/api/v/<connection>”, token) of the Supabase clients works as it is."
    " What PostgreSQL or PostgREST refuse keeps their own codes; these are ours.",
    (
        call(
            "ANY",
            f"{_DATA}/rest/v1/{{path}}",
            _AGENT,
            "Reads and writes. The answer to a write carries x-basewarden-session; send that header with a name of"
            " your own to keep writes together. The root describes in OpenAPI 2 the tables and functions that the"
            " caller reaches.",
            ok(words="as PostgREST answers"),
            no(403, "read_only", "the token may not write"),
            no(403, "table_denied", "the table is not on the token's list"),
            no(400, "filter_required", "an update or delete names no rows"),
            no(403, "row_limit", "more rows than one write may change; nothing was written"),
            no(423, "session_frozen", "the session's limit of writes is reached"),
            no(403, "capture_unsupported", "a write that cannot be recorded, and is therefore not done"),
            no(403, "capture_blind", "the connection's role cannot see the rows that it would change"),
            no(409, "write_conflict", "a race for the same rows was lost; try again"),
            no(409, "partly_written", "over the project's own API: some rows were written, the session shows which"),
            no(400, "rollback_unsupported", "tx=rollback over the project's own API; nothing was done"),
            no(429, "rate_limited", "too many requests; Retry-After says when"),
            no(503, "too_many_bodies", "too many large bodies at once; this one was not read, Retry-After says when"),
            no(503, "journal_unavailable", "the write could not be recorded, and was not done"),
            no(403, "role_unsupported", "the token has a role or claims, and the connection no Postgres address"),
            no(503, "upstream_unavailable", "the project's own API is away; nothing was done"),
            no(413, "answer_too_large", "the answer is larger than one may be; nothing was changed"),
            no(
                429,
                "too_many_running",
                "this caller's share of the project's database connections is in use; Retry-After",
            ),
            no(503, "memory_busy", "too many large answers are on their way; nothing was changed; Retry-After"),
            no(504, "query_timeout", "the project's database took longer than a caller may keep it busy"),
            no(504, "upstream_timeout", "the project's own API did not answer a read in time"),
            no(502, "upstream_invalid", "the project's own API gave a read no answer that can be used"),
            no(429, "upstream_limited", "the project takes no more requests for now; Retry-After says when"),
            no(502, "upstream_refused", "the project does not take the connection's key"),
            no(502, "outcome_unknown", "the project's own API was lost before it answered; look before you try again"),
        ),
        call(
            "GET",
            f"{_DATA}/introspect",
            _AGENT,
            "Tables, columns, keys and relations.",
            ok(words="tables, as this caller may see them"),
            no(403, "schema_untold", "the project tells its tables to other keys only"),
            no(503, "upstream_unavailable", "the project's own API is away"),
        ),
    ),
    in_document=False,
)

GROUPS = (SIGNIN, ACCOUNT, TWO_FACTOR, PASSKEYS, BILLING, OPERATIONAL, CONNECTIONS, SESSIONS, DATA)
