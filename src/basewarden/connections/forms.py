"""Converts the forms of a connection's pages into the API's request bodies."""

from typing import Any

from basewarden.connections.models import Connection, Environment
from basewarden.connections.schemas import ConnectionChange, Name
from basewarden.web import RequestBody


class SettingsForm(ConnectionChange):
    """All fields of the page; an empty secret keeps the saved one, and a ticked box removes it."""

    name: Name
    environment: Environment
    forget_project: bool = False
    forget_postgres: bool = False

    def as_change(self, connection: Connection) -> ConnectionChange:
        wanted: dict[str, Any] = {"name": self.name, "environment": self.environment}
        if self.db_role != connection.db_role:
            wanted["dbRole"] = self.db_role
        if self.forget_postgres:
            wanted["postgresUrl"] = None
        elif self.has("postgres_url"):
            wanted["postgresUrl"] = self.postgres_url
        if self.forget_project:
            wanted["url"] = None
        elif self.has("key") or (self.url is not None and self.url != connection.url):
            wanted |= {name: value for name, value in (("url", self.url), ("key", self.key)) if value is not None}
        return ConnectionChange.model_validate(wanted)


class DeleteConnectionForm(RequestBody):
    confirm: str = ""
