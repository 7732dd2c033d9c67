"""Encrypts secrets at rest, and re-encrypts them under a new key. Does not know the features' tables by name."""

from basewarden.vault.columns import SealedColumn, list_sealed_columns, sealed_column
from basewarden.vault.keys import KEY_FILE_NAME, make_keyring, start_key_file
from basewarden.vault.rotation import RotationCount, rotate_keys
from basewarden.vault.sealing import SealContext, Vault, VaultError, VaultKeyMissing

__all__ = [
    "KEY_FILE_NAME",
    "RotationCount",
    "SealContext",
    "SealedColumn",
    "Vault",
    "VaultError",
    "VaultKeyMissing",
    "list_sealed_columns",
    "make_keyring",
    "rotate_keys",
    "sealed_column",
    "start_key_file",
]
