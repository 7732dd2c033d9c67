"""Encrypts with AES-256-GCM.

The sealed format: a version byte, 4 bytes of key id, 12 bytes of nonce, ciphertext with tag.
"""

import os
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from basewarden.core.secret import Secret
from basewarden.errors import Unavailable
from basewarden.vault.keys import KEY_ID_BYTES, Keyring, VaultKey

_VERSION = b"\x01"
_NONCE_BYTES = 12
_HEAD_BYTES = len(_VERSION) + KEY_ID_BYTES


class VaultError(Unavailable):
    code = "vault.unreadable"
    message = "A stored secret cannot be decrypted: it was changed, or it belongs to another row."


class VaultKeyMissing(VaultError):
    code = "vault.key_missing"
    message = "A stored secret cannot be decrypted: this deployment no longer has its key."


@dataclass(frozen=True, slots=True)
class SealContext:
    """The row and column that a value belongs to. A ciphertext that is moved elsewhere cannot be decrypted."""

    column: str
    row_id: UUID

    def as_bytes(self) -> bytes:
        return f"{self.column}:{self.row_id}".encode()


class Vault:
    """Encrypts under the current key, and decrypts values of every known key."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring

    def seal(self, value: Secret, place: SealContext) -> bytes:
        key = self.keyring.current()
        nonce = os.urandom(_NONCE_BYTES)
        ciphertext = AESGCM(key.value).encrypt(nonce, value.reveal().encode(), place.as_bytes())
        return _VERSION + key.id + nonce + ciphertext

    def open(self, sealed: bytes, place: SealContext) -> Secret:
        key = self._find_key(sealed)
        nonce, ciphertext = (
            sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES],
            sealed[_HEAD_BYTES + _NONCE_BYTES :],
        )
        try:
            return Secret(AESGCM(key.value).decrypt(nonce, ciphertext, place.as_bytes()).decode())
        except (InvalidTag, ValueError):
            raise VaultError from None

    def _find_key(self, sealed: bytes) -> VaultKey:
        if not sealed.startswith(_VERSION):
            raise VaultError
        key = self.keyring.find(sealed[len(_VERSION) : _HEAD_BYTES])
        if key is None:
            raise VaultKeyMissing(hint="Set the earlier key as BASEWARDEN_ENCRYPTION_KEY_OLD and restart.")
        return key
