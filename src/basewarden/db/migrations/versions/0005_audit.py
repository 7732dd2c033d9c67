"""The audit: account events in a chain of hashes that takes additions only."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# The same two texts as in audit/chain.py: what one of them seals the other must find.
_PLACE_DIGEST = r"""
CREATE FUNCTION audit_place_digest(event audit_events) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(event.salt || convert_to(
        concat(event.address, E'\n', event.name, E'\n', event.client), 'UTF8'))
$$
"""
_HASH = r"""
CREATE FUNCTION audit_hash(event audit_events) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(concat_ws(E'\n',
        'basewarden audit 1',
        encode(event.prev_hash, 'hex'),
        event.id::text,
        trunc(extract(epoch FROM event.at) * 1000000)::text,
        event.subject::text,
        event.kind,
        encode(event.place_digest, 'hex'),
        event.details::text), 'UTF8'))
$$
"""
# The lock is held until the transaction ends, so the row before is always a committed one. A number from a sequence
# would leave a gap with every rollback, and a gap must mean that somebody took a row away.
_LINK = r"""
CREATE FUNCTION link_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before record;
BEGIN
    PERFORM pg_advisory_xact_lock(7022364301936325990);
    SELECT id, hash INTO before FROM audit_events ORDER BY id DESC LIMIT 1;
    NEW.id := coalesce(before.id, 0) + 1;
    NEW.prev_hash := coalesce(before.hash, decode(repeat('00', 32), 'hex'));
    NEW.at := clock_timestamp();
    NEW.salt := uuid_send(gen_random_uuid());
    NEW.place_digest := audit_place_digest(NEW);
    NEW.hash := audit_hash(NEW);
    RETURN NEW;
END
$$
"""
_GUARD = r"""
CREATE FUNCTION guard_audit_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    erased audit_events;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        erased := OLD;
        erased.address := NULL;
        erased.client := NULL;
        erased.name := NULL;
        erased.salt := NULL;
        IF NEW IS NOT DISTINCT FROM erased THEN
            RETURN erased;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit_events takes additions only' USING ERRCODE = 'insufficient_privilege';
END
$$
"""
_FUNCTIONS = (_PLACE_DIGEST, _HASH, _LINK, _GUARD)
_TRIGGERS = (
    "CREATE TRIGGER link BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION link_audit_event()",
    "CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION guard_audit_events()",
    "CREATE TRIGGER guard_all BEFORE TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION guard_audit_events()",
    # also where session_replication_role switches ordinary triggers off
    "ALTER TABLE audit_events ENABLE ALWAYS TRIGGER guard, ENABLE ALWAYS TRIGGER guard_all",
)


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("details", JSONB(), nullable=False),
        sa.Column("address", sa.Text()),
        sa.Column("client", sa.Text()),
        sa.Column("name", sa.Text()),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("place_digest", sa.LargeBinary(), nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
        # What is hashed is lines: a line break in one of them would make two events look alike.
        sa.CheckConstraint("kind ~ '^[a-z_]+$'", name="kind"),
        sa.CheckConstraint(r"concat(address, name, client) !~ '\n'", name="lines"),
    )
    op.create_index("ix_audit_events_subject_id", "audit_events", ["subject", "id"])
    for statement in _FUNCTIONS + _TRIGGERS:
        op.execute(statement)


def downgrade() -> None:
    # These take the row type of the table, which therefore cannot go before them.
    for function in ("audit_place_digest(audit_events)", "audit_hash(audit_events)"):
        op.execute(f"DROP FUNCTION {function}")
    op.drop_table("audit_events")
    op.execute("DROP FUNCTION link_audit_event()")
    op.execute("DROP FUNCTION guard_audit_events()")
