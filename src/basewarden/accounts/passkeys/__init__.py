"""Passkeys (WebAuthn): signing in without a password, as the second factor, and for confirming an identity."""

from basewarden.accounts.passkeys.service import Passkeys, count_passkeys

__all__ = [
    "Passkeys",
    "count_passkeys",
]
