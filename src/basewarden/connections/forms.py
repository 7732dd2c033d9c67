"""Converts the forms of pages into the API's request bodies."""

import json
from datetime import UTC, datetime, time
from typing import Any

from pydantic import field_validator

from basewarden.connections.models import Connection, Environment
from basewarden.connections.schemas import AgentCreate, ConnectionChange, Name
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


class AgentForm(AgentCreate):
    """Takes one table per line, claims as JSON, and the last valid day as the expiry."""

    @field_validator("tables", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return value.replace(",", " ").split() if isinstance(value, str) else value

    @field_validator("claims", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except json.JSONDecodeError:
            raise ValueError('must be a JSON object, such as {"sub": "…"}') from None

    @field_validator("expires_at", mode="before")
    @classmethod
    def _end_of_day(cls, value: Any) -> Any:
        try:
            day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        except (TypeError, ValueError):
            raise ValueError("must be a date, such as 2030-12-31") from None
        return datetime.combine(day, time.max, UTC)
