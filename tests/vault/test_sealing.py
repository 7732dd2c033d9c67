import base64
import os
from uuid import uuid4

import pytest

from basewarden.core.secret import Secret
from basewarden.vault import SealContext, Vault, VaultError, VaultKeyMissing
from basewarden.vault.keys import Keyring, VaultKey

PLACE = SealContext("connections.sealed_postgres_url", uuid4())
VALUE = Secret("postgresql://someone:pässword@db.example.com/shop")


def make_vault(*keys: bytes) -> Vault:
    return Vault(Keyring(tuple(VaultKey(key) for key in keys)))


def test_what_was_sealed_opens_again_and_is_not_in_the_ciphertext() -> None:
    vault = make_vault(os.urandom(32))
    sealed = vault.seal(VALUE, PLACE)
    assert vault.open(sealed, PLACE) == VALUE
    assert b"someone" not in sealed
    assert vault.seal(VALUE, PLACE) != sealed


@pytest.mark.parametrize("place", [SealContext(PLACE.column, uuid4()), SealContext("other.column", PLACE.row_id)])
def test_a_value_moved_to_another_place_does_not_open(place: SealContext) -> None:
    vault = make_vault(os.urandom(32))
    with pytest.raises(VaultError):
        vault.open(vault.seal(VALUE, PLACE), place)


def test_no_changed_byte_opens() -> None:
    vault = make_vault(os.urandom(32))
    sealed = vault.seal(VALUE, PLACE)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(VaultError):
            vault.open(bytes(changed), PLACE)
    for length in range(len(sealed)):
        with pytest.raises(VaultError):
            vault.open(sealed[:length], PLACE)


def test_the_old_key_opens_and_the_new_one_seals() -> None:
    old, new = os.urandom(32), os.urandom(32)
    sealed_before = make_vault(old).seal(VALUE, PLACE)
    both = make_vault(new, old)
    assert both.open(sealed_before, PLACE) == VALUE
    assert make_vault(new).open(both.seal(VALUE, PLACE), PLACE) == VALUE


def test_a_missing_key_is_a_clear_503_that_shows_no_key() -> None:
    sealed = make_vault(os.urandom(32)).seal(VALUE, PLACE)
    other = os.urandom(32)
    with pytest.raises(VaultKeyMissing) as caught:
        make_vault(other).open(sealed, PLACE)
    error = caught.value
    assert (error.status, error.code) == (503, "vault.key_missing")
    assert base64.b64encode(other).decode() not in str(error.body()) + repr(VaultKey(other))
