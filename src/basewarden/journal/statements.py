"""The recorder's SQL as prepared statements, without SQLAlchemy: this is the hot path on our own database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from basewarden.connections import StopCode, make_stop_key, read_stop_code
from basewarden.core.ids import make_id
from basewarden.journal.values import (
    Image,
    IntentOutcome,
    RowChange,
    SessionCaller,
    WriteEntry,
    count_changes,
    list_tables,
)
from pgrest import Rows, Statement

_BYTES_PER_INSERT = 16 * 1024 * 1024  # bounds the size of one parameter; images may be large


DO_NOT_WAIT_FOR_DISK = Statement("SELECT set_config('synchronous_commit', 'off', true)")


@dataclass(slots=True)
class Counters:
    """A session's counters while its row is locked; `stop` says why its agent may write no more."""

    session_id: UUID
    position: int
    write_count: int
    is_open: bool
    budget_from: int = 0
    frozen_reason: str | None = None
    stop: StopCode | None = None
    freezes: bool = False
    rows: int = 0
    rows_from: int = 0

    def freeze(self) -> None:
        self.frozen_reason = "budget"
        self.freezes = True

    def add_write(self, entry: WriteEntry) -> None:
        self.position += entry.positions
        self.write_count += 1
        self.rows += entry.rows


@dataclass(frozen=True, slots=True)
class StoredWrite:
    write_id: UUID
    session_id: UUID
    first_position: int
    entry: WriteEntry


def lock_caller(caller: SessionCaller) -> Statement:
    return Statement("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", (caller.key.encode(),))


def find_session(caller: SessionCaller, burst_seconds: float) -> Statement:
    """Finds the open session with the caller's label or id, or the unlabelled one used within `burst_seconds`."""
    return Statement(
        """
        SELECT id FROM journal_sessions
        WHERE connection_id = $1::uuid AND caller_key = $2 AND status = 'open'
          AND CASE WHEN $3::text IS NULL
                   THEN label IS NULL AND last_seen_at > now() - make_interval(secs => $4::float8)
                   ELSE label = $3 OR id::text = $3 END
        ORDER BY last_seen_at DESC LIMIT 1
        """,
        (_text(caller.connection_id), _text(caller.caller_key), _text(caller.label), _text(burst_seconds)),
    )


def open_session(session_id: UUID, caller: SessionCaller) -> Statement:
    agent_id = caller.caller_id if caller.kind == "agent" else None
    user_id = None if caller.kind == "agent" else caller.caller_id
    return Statement(
        """
        INSERT INTO journal_sessions
            (id, connection_id, caller_key, kind, agent_id, user_id, caller_name, label, capture)
        VALUES ($1::uuid, $2::uuid, $3, $4, $5::uuid, $6::uuid, $7, $8, $9)
        """,
        tuple(
            _text(value)
            for value in (
                session_id,
                caller.connection_id,
                caller.caller_key,
                caller.kind,
                agent_id,
                user_id,
                caller.caller_name,
                caller.label,
                caller.capture,
            )
        ),
    )


def read_session_id(rows: Rows) -> UUID:
    return UUID((rows.rows[0][0] or b"").decode())


def lock_sessions(session_ids: Iterable[UUID]) -> Statement:
    """Locks in the order of ids, so that two processes never deadlock."""
    return Statement(
        """
        SELECT s.id, s.position, s.write_count, s.status = 'open', s.budget_from,
            CASE WHEN s.frozen_at IS NOT NULL THEN coalesce(s.frozen_reason, 'member') END,
            CASE WHEN s.kind <> 'agent' THEN NULL WHEN a.revoked_at IS NOT NULL THEN 'agent_revoked'
                 WHEN c.agents_frozen_at IS NOT NULL THEN 'connection_frozen'
                 WHEN a.frozen_at IS NOT NULL THEN 'agent_frozen' END,
            s.row_count, s.rows_from
        FROM journal_sessions AS s LEFT JOIN agents AS a ON a.id = s.agent_id
            LEFT JOIN connections AS c ON c.id = s.connection_id
        WHERE s.id = ANY($1::uuid[]) ORDER BY s.id FOR UPDATE OF s
        """,
        (_array(sorted(map(str, set(session_ids)))),),
    )


def share_stops(entries: Iterable[WriteEntry]) -> list[Statement]:
    """Makes a stop of these writes' agents wait until they are stored; what is read after it shows earlier stops."""
    keys = {make_stop_key(entry.caller.connection_id) for entry in entries if entry.caller.kind == "agent"}
    if not keys:
        return []
    return [
        Statement(
            "SELECT pg_advisory_xact_lock_shared(hashtextextended(key, 0)) FROM unnest($1::text[]) AS key",
            (_array(sorted(keys)),),
        )
    ]


def read_counters(rows: Rows) -> dict[UUID, Counters]:
    counters = {}
    for session_id, position, write_count, is_open, budget_from, frozen, stop, row_count, rows_from in rows.rows:
        found = UUID((session_id or b"").decode())
        numbers = (int(position or 0), int(write_count or 0), is_open == b"t", int(budget_from or 0))
        counters[found] = Counters(
            found,
            *numbers,
            frozen_reason=None if frozen is None else frozen.decode(),
            stop=None if stop is None else read_stop_code(stop.decode()),
            rows=int(row_count or 0),
            rows_from=int(rows_from or 0),
        )
    return counters


def freeze_sessions(counters: Iterable[Counters]) -> list[Statement]:
    """Stores which sessions were frozen, and that; runs in the transaction that holds their locks."""
    ids = sorted(str(session.session_id) for session in counters if session.freezes)
    if not ids:
        return []
    return [
        Statement(
            """
            WITH frozen AS (
                UPDATE journal_sessions AS s SET frozen_at = now(), frozen_reason = 'budget'
                FROM unnest($1::uuid[], $2::uuid[]) AS f(id, intervention_id)
                WHERE s.id = f.id AND s.frozen_at IS NULL
                RETURNING f.intervention_id, s.connection_id, s.id, s.agent_id, s.caller_name)
            INSERT INTO journal_interventions
                (id, connection_id, action, agent_id, agent_name, session_id, xact)
            SELECT intervention_id, connection_id, 'freeze', agent_id, caller_name, id,
                pg_current_xact_id()::text::int8
            FROM frozen
            """,
            (_array(ids), _array(str(make_id()) for _ in ids)),
        )
    ]


def mark_writes(marks: Mapping[UUID, str]) -> Statement:
    return Statement(
        """
        UPDATE journal_writes
        SET state = m.state, settled_at = now(), settled_xact = pg_current_xact_id()::text::int8
        FROM unnest($1::uuid[], $2::text[]) AS m(id, state)
        WHERE journal_writes.id = m.id AND journal_writes.state = 'pending'
        RETURNING connection_id
        """,
        (_array(str(write_id) for write_id in marks), _array(marks.values())),
    )


def read_connection_ids(rows: Rows) -> set[UUID]:
    return {UUID(value.decode()) for value in {row[0] for row in rows.each()} if value is not None}


def notify(channel: str, message: str) -> Statement:
    return Statement("SELECT pg_notify($1, $2)", (channel.encode(), message.encode()))


def store_writes(writes: Sequence[tuple[object, StoredWrite]], counters: Iterable[Counters]) -> list[Statement]:
    stored = [write for _, write in writes]
    if not stored:
        return []
    rows = (msgspec.json.encode(row) for write in stored for row in _mutation_rows(write))
    return [
        _update_counters(counters),
        _insert_writes(stored),
        *(_insert_mutations(chunk) for chunk in _chunk(rows)),
    ]


def _update_counters(counters: Iterable[Counters]) -> Statement:
    rows = list(counters)
    return Statement(
        """
        UPDATE journal_sessions
        SET position = c.position, write_count = c.write_count, row_count = c.row_count, last_seen_at = now()
        FROM unnest($1::uuid[], $2::int8[], $3::int8[], $4::int8[]) AS c(id, position, write_count, row_count)
        WHERE journal_sessions.id = c.id
        """,
        (
            _array(str(row.session_id) for row in rows),
            _array(str(row.position) for row in rows),
            _array(str(row.write_count) for row in rows),
            _array(str(row.rows) for row in rows),
        ),
    )


def _insert_writes(writes: Sequence[StoredWrite]) -> Statement:
    rows = [
        {
            "id": write.write_id,
            "session_id": write.session_id,
            "connection_id": write.entry.caller.connection_id,
            "xid": write.entry.xid,
            "verb": write.entry.verb,
            "schema_name": write.entry.schema,
            "table_name": write.entry.table,
            "mutation_count": len(write.entry.changes),
            "tables": write.entry.tables,
            "summary": write.entry.summary,
            "unseen": write.entry.uncaptured or None,
            "change_counts": write.entry.change_counts,
        }
        for write in writes
    ]
    return Statement(
        """
        INSERT INTO journal_writes
            (id, session_id, connection_id, xid, verb, schema_name, table_name, mutation_count, tables,
             summary, unseen, change_counts)
        SELECT id, session_id, connection_id, xid, verb, schema_name, table_name, mutation_count, tables,
             summary, unseen, change_counts
        FROM json_to_recordset($1::json) AS w(
            id uuid, session_id uuid, connection_id uuid, xid int8, verb text, schema_name text, table_name text,
            mutation_count int4, tables text[], summary text, unseen jsonb, change_counts json)
        """,
        (msgspec.json.encode(rows),),
    )


def _chunk(rows: Iterable[bytes]) -> Iterable[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for row in rows:
        if chunk and size + len(row) > _BYTES_PER_INSERT:
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += len(row)
    if chunk:
        yield chunk


def _insert_mutations(rows: list[bytes]) -> Statement:
    return Statement(
        """
        INSERT INTO journal_mutations
            (write_id, session_id, connection_id, position, schema_name, table_name, verb, cause, key_columns,
             row_key, new_row_key, set_columns, before, after, before_exact, after_exact)
        SELECT write_id, session_id, connection_id, position, schema_name, table_name, verb, cause, key_columns,
             row_key, new_row_key, set_columns, before::json, after::json, before_exact, after_exact
        FROM json_to_recordset($1::json) AS m(
            write_id uuid, session_id uuid, connection_id uuid, position int8, schema_name text, table_name text,
            verb text, cause text, key_columns text[], row_key text, new_row_key text, set_columns text[],
            before text, after text, before_exact json, after_exact json)
        ORDER BY position
        """,
        (b"[" + b",".join(rows) + b"]",),
    )


def reserve_positions(session_id: UUID, count: int) -> Statement:
    """Reserves `count` positions; returns the position before the first."""
    return Statement(
        "UPDATE journal_sessions SET position = position + $2::int8 WHERE id = $1::uuid RETURNING position - $2::int8",
        (_text(session_id), _text(count)),
    )


def store_outcomes(outcomes: Sequence[tuple[IntentOutcome, int]]) -> list[Statement]:
    """Stores outcomes in one transaction; each comes with the position before its changes beyond the reserved ones.

    A write that already has an outcome is unchanged, unless that was unknown. The first statement returns the others.
    """
    rows = (msgspec.json.encode(row) for outcome, more in outcomes for row in _outcome_rows(outcome, more))
    return [
        _update_outcomes([outcome for outcome, _ in outcomes]),
        *(_insert_outcome_mutations(chunk) for chunk in _chunk(rows)),
    ]


def read_finished(rows: Rows) -> frozenset[UUID]:
    """Reads the writes whose outcome was stored now."""
    return frozenset(UUID((row[0] or b"").decode()) for row in rows.rows)


def _update_outcomes(outcomes: Sequence[IntentOutcome]) -> Statement:
    rows = [
        {
            "id": outcome.recorded.write_id,
            "state": outcome.state,
            "mutation_count": None if outcome.changes is None else len(outcome.changes),
            "more_tables": list_tables(outcome.changes or ()),
            "unseen": outcome.uncaptured or None,
            "change_counts": None if outcome.changes is None else count_changes(outcome.changes),
        }
        for outcome in outcomes
    ]
    return Statement(
        """
        WITH finished AS (
            UPDATE journal_writes AS w SET
                state = f.state, settled_at = now(), settled_xact = pg_current_xact_id()::text::int8,
                unseen = f.unseen,
                mutation_count = coalesce(f.mutation_count, w.mutation_count),
                change_counts = coalesce(f.change_counts, w.change_counts),
                tables = w.tables || ARRAY(SELECT unnest(f.more_tables) EXCEPT SELECT unnest(w.tables))
            FROM json_to_recordset($1::json) AS f(
                id uuid, state text, mutation_count int4, more_tables text[], unseen jsonb, change_counts json)
            WHERE w.id = f.id AND w.state IN ('pending', 'unknown')
            RETURNING w.id, f.mutation_count),
        replaced AS (
            DELETE FROM journal_mutations AS m USING finished AS f
            WHERE m.write_id = f.id AND f.mutation_count IS NOT NULL)
        SELECT id::text FROM finished
        """,
        (msgspec.json.encode(rows),),
    )


def _insert_outcome_mutations(rows: list[bytes]) -> Statement:
    """Inserts mutations only for writes whose outcome this transaction stored: its now() is their `settled_at`."""
    return Statement(
        """
        INSERT INTO journal_mutations
            (write_id, session_id, connection_id, position, schema_name, table_name, verb, cause, key_columns,
             row_key, new_row_key, set_columns, before, after, before_exact, after_exact)
        SELECT m.write_id, m.session_id, m.connection_id, m.position, m.schema_name, m.table_name, m.verb, m.cause,
             m.key_columns, m.row_key, m.new_row_key, m.set_columns, m.before::json, m.after::json, m.before_exact,
             m.after_exact
        FROM json_to_recordset($1::json) AS m(
            write_id uuid, session_id uuid, connection_id uuid, position int8, schema_name text, table_name text,
            verb text, cause text, key_columns text[], row_key text, new_row_key text, set_columns text[],
            before text, after text, before_exact json, after_exact json)
        JOIN journal_writes AS w ON w.id = m.write_id AND w.state = 'committed' AND w.settled_at = now()
        ORDER BY m.position
        """,
        (b"[" + b",".join(rows) + b"]",),
    )


def _outcome_rows(outcome: IntentOutcome, more: int) -> Iterable[dict[str, object]]:
    recorded = outcome.recorded
    for offset, change in enumerate(outcome.changes or ()):
        is_foreseen = offset < recorded.positions
        place = recorded.first_position + offset if is_foreseen else more + offset - recorded.positions
        yield {
            "write_id": recorded.write_id,
            "session_id": recorded.session_id,
            "connection_id": outcome.connection_id,
            "position": place + 1,
            **describe_change(change),
        }


def _mutation_rows(write: StoredWrite) -> Iterable[dict[str, object]]:
    for offset, change in enumerate(write.entry.changes):
        yield {
            "write_id": write.write_id,
            "session_id": write.session_id,
            "connection_id": write.entry.caller.connection_id,
            "position": write.first_position + offset + 1,
            **describe_change(change),
        }


def describe_change(change: RowChange) -> dict[str, object]:
    return {
        "schema_name": change.schema,
        "table_name": change.table,
        "verb": change.verb,
        "cause": change.cause,
        "key_columns": change.key_columns,
        "row_key": change.row_key,
        "new_row_key": change.new_row_key,
        "set_columns": change.set_columns,
        "before": _shown(change.before),
        "after": _shown(change.after),
        "before_exact": change.before.exact if change.before else None,
        "after_exact": change.after.exact if change.after else None,
    }


def _shown(image: Image | None) -> str | None:
    r"""Returns the image as a JSON string: nested JSON would have its \u0000 unescaped, which PostgreSQL rejects."""
    return image.shown.decode() if image else None


def _text(value: object) -> bytes | None:
    return None if value is None else str(value).encode()


def _array(values: Iterable[str]) -> bytes:
    """Returns an array literal of ids, numbers or states, which need no quoting."""
    return f"{{{','.join(values)}}}".encode()
