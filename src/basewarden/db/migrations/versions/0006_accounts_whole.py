"""The rest of accounts: links of letters, two-factor sign-in, passkeys, sign-in elsewhere, deletion."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, _TIME, server_default=sa.func.now(), nullable=False)


def _of_user(table: str, *, nullable: bool = False) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("user_id", sa.Uuid(), nullable=nullable),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"fk_{table}_user_id", ondelete="CASCADE"),
    ]


def upgrade() -> None:
    _extend_users()
    _extend_signins()
    _make_tokens()
    _make_second_factors()
    _make_oauth()


def _extend_users() -> None:
    op.alter_column("users", "password_hash", nullable=True)
    for column in (
        sa.Column("audit_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("email_verified_at", _TIME),
        sa.Column("password_changed_at", _TIME),
        sa.Column("sealed_totp_secret", sa.LargeBinary()),
        sa.Column("sealed_totp_pending", sa.LargeBinary()),
        sa.Column("totp_last_step", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("totp_enabled_at", _TIME),
        sa.Column("deletion_due_at", _TIME),
    ):
        op.add_column("users", column)
    op.create_unique_constraint("uq_users_audit_id", "users", ["audit_id"])
    op.create_index("ix_users_deletion_due_at", "users", ["deletion_due_at"])


def _extend_signins() -> None:
    for column in (
        sa.Column("mfa_hash", sa.LargeBinary()),
        sa.Column("mfa_at", _TIME),
        sa.Column("method", sa.Text(), server_default="password", nullable=False),
        sa.Column("address", sa.Text()),
        sa.Column("client", sa.Text()),
        _now("authenticated_at"),
        sa.Column("ended_at", _TIME),
    ):
        op.add_column("signin_sessions", column)
    op.execute("UPDATE signin_sessions SET authenticated_at = created_at")
    op.create_index("ix_signin_sessions_ended_at", "signin_sessions", ["ended_at"])


def _make_tokens() -> None:
    op.create_table(
        "account_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_of_user("account_tokens"),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        _now("created_at"),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("consumed_at", _TIME),
        sa.Column("dead_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_account_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_account_tokens_token_hash"),
    )
    op.create_index("ix_account_tokens_user_id_purpose", "account_tokens", ["user_id", "purpose"])
    op.create_index("ix_account_tokens_expires_at", "account_tokens", ["expires_at"])


def _make_second_factors() -> None:
    op.create_table(
        "recovery_codes",
        *_of_user("recovery_codes"),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("used_at", _TIME),
        _now("created_at"),
        sa.PrimaryKeyConstraint("user_id", "position", name="pk_recovery_codes"),
    )
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_of_user("passkeys"),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("transports", ARRAY(sa.Text()), nullable=False),
        sa.Column("is_backed_up", sa.Boolean(), nullable=False),
        _now("created_at"),
        sa.Column("last_used_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_passkeys"),
        sa.UniqueConstraint("credential_id", name="uq_passkeys_credential_id"),
    )
    op.create_index("ix_passkeys_user_id", "passkeys", ["user_id"])
    op.create_table(
        "passkey_challenges",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_of_user("passkey_challenges", nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_passkey_challenges"),
    )
    op.create_index("ix_passkey_challenges_expires_at", "passkey_challenges", ["expires_at"])


def _make_oauth() -> None:
    op.create_table(
        "oauth_accounts",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        *_of_user("oauth_accounts"),
        sa.Column("login", sa.Text(), nullable=False),
        _now("linked_at"),
        sa.PrimaryKeyConstraint("provider", "subject", name="pk_oauth_accounts"),
    )
    op.create_index("ix_oauth_accounts_user_id", "oauth_accounts", ["user_id"])
    op.create_table(
        "oauth_states",
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        *_of_user("oauth_states", nullable=True),
        sa.Column("code_verifier", sa.Text(), nullable=False),
        sa.Column("back_to", sa.Text(), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("state_hash", name="pk_oauth_states"),
    )
    op.create_index("ix_oauth_states_expires_at", "oauth_states", ["expires_at"])


def downgrade() -> None:
    for table in (
        "oauth_states",
        "oauth_accounts",
        "passkey_challenges",
        "passkeys",
        "recovery_codes",
        "account_tokens",
    ):
        op.drop_table(table)
    for column in ("mfa_hash", "mfa_at", "method", "address", "client", "authenticated_at", "ended_at"):
        op.drop_column("signin_sessions", column)
    for column in (
        "audit_id",
        "email_verified_at",
        "password_changed_at",
        "sealed_totp_secret",
        "sealed_totp_pending",
        "totp_last_step",
        "totp_enabled_at",
        "deletion_due_at",
    ):
        op.drop_column("users", column)
    op.execute("DELETE FROM users WHERE password_hash IS NULL")
    op.alter_column("users", "password_hash", nullable=False)
