"""Adds the vault to the registry."""

from basewarden.settings import Settings
from basewarden.vault.keys import make_keyring
from basewarden.vault.sealing import Vault
from basewarden.web import Registry


def wire(registry: Registry) -> None:
    registry.add(Vault(make_keyring(registry.get(Settings))))
