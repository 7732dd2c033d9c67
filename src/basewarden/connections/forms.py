"""Converts the forms of a connection's pages into the API's request bodies."""

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict

from basewarden.connections.models import Connection, Environment
from basewarden.connections.schemas import (
    ConnectionChange,
    ConnectionCreate,
    Identifier,
    Key,
    Name,
    PostgresURL,
    ProjectURL,
    SchemaNames,
)
from basewarden.errors import Invalid
from basewarden.web import RequestBody


class PageForm(RequestBody):
    """A form of a page; it may hold fields that only the page needs."""

    model_config = ConfigDict(extra="ignore")


class NewConnectionForm(ConnectionCreate):
    model_config = ConfigDict(extra="ignore")


class GeneralForm(PageForm):
    name: Name
    environment: Environment

    def as_change(self, _: Connection) -> ConnectionChange:
        return ConnectionChange.model_validate({"name": self.name, "environment": self.environment})


class PostgresForm(PageForm):
    """An empty field keeps the saved connection string; a ticked box removes it."""

    postgres_url: PostgresURL | None = None
    forget_postgres: bool = False

    def as_change(self, _: Connection) -> ConnectionChange:
        if self.postgres_url is None and not self.forget_postgres:
            raise Invalid.field("postgresUrl", "Enter a connection string.")
        return ConnectionChange.model_validate({"postgresUrl": None if self.forget_postgres else self.postgres_url})


class ProjectForm(PageForm):
    """A key alone replaces the saved one; a new URL needs its key; a ticked box removes both."""

    url: ProjectURL | None = None
    key: Key | None = None
    forget_project: bool = False

    def as_change(self, connection: Connection) -> ConnectionChange:
        if self.forget_project:
            return ConnectionChange.model_validate({"url": None})
        if self.key is None and (self.url is None or self.url == connection.url):
            raise Invalid.field("key", "Enter a key.")
        given = {"url": self.url, "key": self.key}
        return ConnectionChange.model_validate({name: value for name, value in given.items() if value is not None})


class RoleForm(PageForm):
    """An empty field means the role of the key, or else of the login."""

    db_role: Identifier | None = None

    def as_change(self, _: Connection) -> ConnectionChange:
        return ConnectionChange.model_validate({"dbRole": self.db_role})


def split_names(typed: object) -> object:
    """Splits `api, "public"` as a setting of PostgREST is split."""
    return [name for part in typed.split(",") if (name := part.strip().strip('"'))] if isinstance(typed, str) else typed


class SchemasForm(PageForm):
    """An empty field means that they are looked up."""

    schemas: Annotated[SchemaNames | None, BeforeValidator(split_names)] = None

    def as_change(self, _: Connection) -> ConnectionChange:
        return ConnectionChange.model_validate({"schemas": self.schemas})


class DeleteConnectionForm(PageForm):
    confirm: str = ""
