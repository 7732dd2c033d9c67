"""What the settings of a connection and the page that deletes it show."""

from typing import Annotated, Any

from fastapi import Depends

from basewarden.accounts import FormConfirmation, FormConfirmationDep
from basewarden.connections.callers import Membership, Owner
from basewarden.connections.deletion import QuarantineCounter, SessionCounter, describe_deletion
from basewarden.connections.health import list_roles
from basewarden.connections.models import ENVIRONMENT_CHOICES, Environment
from basewarden.connections.routes import ConnectionsDep
from basewarden.connections.service import Connections
from basewarden.db import ReadSession
from basewarden.web import Reading, inject

SessionCounterDep = Annotated[SessionCounter, Depends(inject(SessionCounter))]
QuarantineCounterDep = Annotated[QuarantineCounter, Depends(inject(QuarantineCounter))]


class SettingsView:
    """The context of the templates, for one request."""

    def __init__(
        self,
        *,
        member: Membership,
        reading: ReadSession,
        connections: Connections,
        counter: SessionCounter,
        quarantines: QuarantineCounter,
        confirmation: FormConfirmation,
    ) -> None:
        self._member = member
        self._reading = reading
        self._connections = connections
        self._counter = counter
        self._quarantines = quarantines
        self._confirmation = confirmation

    async def describe(self) -> dict[str, Any]:
        connection = self._member.connection
        return {
            "environments": ENVIRONMENT_CHOICES,
            "roles": list_roles(self._member),
            "address": self._connections.describe_address(connection),
            "done": None,
            "refused_card": None,
            "kept": {},
            "changed_at": connection.list_changes(),
            **await self.describe_delete(),
        }

    async def describe_delete(self) -> dict[str, Any]:
        confirm_methods = await self._confirmation.describe()  # first: it takes and returns a connection of its own
        return {
            "confirm_word": find_confirm_word(self._member),
            "touches": await describe_deletion(
                self._reading, self._counter, self._quarantines, self._member.connection.id
            ),
            "confirm_methods": confirm_methods,
            "has_gone_stale": False,
        }


async def _make_settings_view(
    member: Owner,
    reading: Reading,
    connections: ConnectionsDep,
    counter: SessionCounterDep,
    quarantines: QuarantineCounterDep,
    confirmation: FormConfirmationDep,
) -> SettingsView:
    return SettingsView(
        member=member,
        reading=reading,
        connections=connections,
        counter=counter,
        quarantines=quarantines,
        confirmation=confirmation,
    )


SettingsViewDep = Annotated[SettingsView, Depends(_make_settings_view)]


def find_confirm_word(member: Membership) -> str | None:
    """A production connection requires its name to be typed."""
    connection = member.connection
    return connection.name if connection.environment == Environment.PRODUCTION else None
