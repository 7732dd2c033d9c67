"""Tables of users, their sign-in sessions and credentials, and of counted attempts."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from basewarden.db import Base
from basewarden.vault import sealed_column

_OF_USER = "users.id"


class User(Base):
    """`email` is stored as it was typed; `email_key` is its form for comparisons.

    `audit_id` identifies the person in the audit; only this row connects it to a name. Two-factor sign-in is on where
    `sealed_totp_secret` is set; `totp_last_step` is the newest time step whose code was used.
    """

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    audit_id: Mapped[UUID] = mapped_column(unique=True, server_default=text("gen_random_uuid()"))
    email: Mapped[str] = mapped_column(Text)
    email_key: Mapped[str] = mapped_column(Text, unique=True)
    email_verified_at: Mapped[datetime | None]
    name: Mapped[str] = mapped_column(Text, server_default="")
    password_hash: Mapped[str | None] = mapped_column(Text)
    password_changed_at: Mapped[datetime | None]
    sealed_totp_secret: Mapped[bytes | None] = sealed_column(nullable=True)
    sealed_totp_pending: Mapped[bytes | None] = sealed_column(nullable=True)
    totp_last_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    totp_enabled_at: Mapped[datetime | None]
    deletion_due_at: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class SignInSession(Base):
    """One signed-in browser. Only the SHA-256 of its token and of its second factor's cookie is stored.

    A renewed token replaces the hash of the same row.
    """

    __tablename__ = "signin_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(_OF_USER, ondelete="CASCADE"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    mfa_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    mfa_at: Mapped[datetime | None]
    method: Mapped[str] = mapped_column(Text, server_default="password")
    address: Mapped[str | None] = mapped_column(Text)
    client: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    authenticated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None] = mapped_column(index=True)


class AttemptCounter(Base):
    """Attempts at one thing by one caller since `started_at`. `key` is a keyed hash of the caller."""

    __tablename__ = "attempt_counters"
    __table_args__ = (Index(None, "started_at"),)

    scope: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    count: Mapped[int]


class Purpose(StrEnum):
    """What the link in an email may be used for."""

    RESET = "reset"
    VERIFY = "verify"
    CHANGE_EMAIL = "change_email"


class AccountToken(Base):
    """A link that was sent. `dead_at` is set when a newer link, a sign-in or a new password replaces it."""

    __tablename__ = "account_tokens"
    __table_args__ = (Index("ix_account_tokens_user_id_purpose", "user_id", "purpose"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(_OF_USER, ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    email: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)
    consumed_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]


class RecoveryCode(Base):
    """One of ten. A code begins with its position, so that one hash is checked instead of ten."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey(_OF_USER, ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    code_hash: Mapped[str] = mapped_column(Text)
    used_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Passkey(Base):
    """A WebAuthn credential; it holds a public key and no secret."""

    __tablename__ = "passkeys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(_OF_USER, ondelete="CASCADE"), index=True)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(Text)
    transports: Mapped[list[str]] = mapped_column(ARRAY(Text))
    is_backed_up: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]


class PasskeyChallenge(Base):
    """A WebAuthn challenge, valid once, for minutes. `user_id` is None for signing in."""

    __tablename__ = "passkey_challenges"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey(_OF_USER, ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(Text)
    challenge: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class OAuthAccount(Base):
    """A linked account of an OAuth provider. `subject` is the provider's id, never a name."""

    __tablename__ = "oauth_accounts"

    provider: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(_OF_USER, ondelete="CASCADE"), index=True)
    login: Mapped[str] = mapped_column(Text)
    linked_at: Mapped[datetime] = mapped_column(server_default=func.now())


class OAuthState(Base):
    """A pending OAuth authorization, valid once, in the browser that started it, for minutes."""

    __tablename__ = "oauth_states"

    state_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    browser_hash: Mapped[bytes] = mapped_column(LargeBinary)
    purpose: Mapped[str] = mapped_column(Text)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey(_OF_USER, ondelete="CASCADE"))
    code_verifier: Mapped[str] = mapped_column(Text)
    back_to: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(index=True)
