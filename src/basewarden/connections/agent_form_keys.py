"""The id of an agent that a form is going to create: sending the form twice creates one agent.

The page of the form brings it along, sealed for its connection and person. Nothing is stored until the agent is.
"""

import base64
import binascii
from uuid import UUID

from basewarden.core.ids import make_id, parse_id
from basewarden.core.secret import Secret
from basewarden.vault import SealContext, Vault, VaultError

FORM_KEY = "formKey"
_MAX_LENGTH = 300


class AgentFormKeys:
    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def make(self, connection_id: UUID, person_id: UUID) -> str:
        """Makes the value of a hidden field for a new agent's id."""
        sealed = self._vault.seal(Secret(f"{person_id} {make_id()}"), _make_context(connection_id))
        return base64.urlsafe_b64encode(sealed).decode()

    def read(self, connection_id: UUID, person_id: UUID, key: str) -> UUID | None:
        """Returns None for what this server did not make for the same connection and person."""
        if len(key) > _MAX_LENGTH:
            return None
        try:
            raw = base64.b64decode(key, altchars=b"-_", validate=True)
            owner, _, agent_id = self._vault.open(raw, _make_context(connection_id)).reveal().partition(" ")
        except (binascii.Error, ValueError, VaultError):
            return None
        return parse_id(agent_id) if owner == str(person_id) else None


def _make_context(connection_id: UUID) -> SealContext:
    return SealContext("agents.form_key", connection_id)
