"""One member's way to the project's data: the same road as everyone's, so policy, journal and undo hold here too.

Every value is asked for as PostgreSQL's own text, so that no number passes through a float.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import quote as quote_path
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from fastapi import Depends

from basewarden.accounts import Person
from basewarden.connections import ConnectionFailed, Role, Viewer
from basewarden.gateway import (
    AnyProject,
    Backends,
    Caller,
    Projects,
    RestCall,
    SchemaNotExposed,
    UpstreamUnavailable,
    make_member_caller,
)
from basewarden.web import inject
from basewarden.workspace.conditions import Condition, Parameter, is_any_row, is_row, quote
from basewarden.workspace.errors import DataRefused, tell_person, tell_unreachable
from pgrest import DatabaseError, PgrestError, Response, Schema, Table, TextLimit, from_database

ChangeCount = Literal["exact", "planned"]
Row = Mapping[str, Any]
Key = tuple[str, ...]

_TOTAL = re.compile(r"/(\d+)\Z")
_decode_rows = msgspec.json.Decoder(list[dict[str, Any]]).decode


@dataclass(frozen=True, slots=True)
class RowPage:
    """`total` is what was counted or estimated, None where nobody asked."""

    rows: Sequence[Row]
    total: int | None = None


class Desk:
    def __init__(self, roads: Backends, project: AnyProject, schema: Schema, caller: Caller) -> None:
        self._roads = roads
        self._project = project
        self._caller = caller
        self.schema = schema

    async def read(
        self,
        table: Table,
        parameters: Sequence[Parameter],
        *,
        count: ChangeCount | None = None,
        text_limit: TextLimit | None = None,
    ) -> RowPage:
        """`text_limit` is kept by the database where it is asked directly; a project's own API sends all."""
        response = await self._send(
            "GET", table, parameters, prefer=f"count={count}" if count else None, text_limit=text_limit
        )
        total = _read_total(response)
        if response.status == 416:  # a page that lies behind the last row
            return RowPage((), total)
        return RowPage(_decode_rows(response.body), total)

    async def find_row(self, table: Table, key: Key, select: str, *, text_limit: TextLimit | None = None) -> Row | None:
        found = await self.read(table, [*_of_row(table, key), ("select", select)], text_limit=text_limit)
        return found.rows[0] if found.rows else None

    async def count(self, table: Table, parameters: Sequence[Parameter], *, count: ChangeCount = "exact") -> int | None:
        """Answers from a read of no rows, which also tells whether the conditions make sense."""
        shown = ("select", text_of(next(iter(table.columns)))) if table.columns else ("select", "")
        response = await self._send("HEAD", table, [*parameters, shown, ("limit", "0")], prefer=f"count={count}")
        return _read_total(response)

    async def insert(self, table: Table, body: bytes) -> Key:
        response = await self._send(
            "POST", table, [("select", select_texts(table.key))] if table.key else [], body=body, prefer=_RETURN
        )
        return key_of(table, _decode_rows(response.body)[0]) if table.key else ()

    async def update(
        self, table: Table, key: Key, expected: Sequence[Condition], body: bytes, columns: Sequence[str]
    ) -> Row | None:
        """The row's new values; None where no row has this key and still holds what was expected."""
        where = [*_of_row(table, key), *(condition.as_parameter() for condition in expected)]
        response = await self._send(
            "PATCH", table, [*where, ("select", select_texts(columns))], body=body, prefer=_RETURN
        )
        rows = _decode_rows(response.body)
        return rows[0] if rows else None

    async def delete(self, table: Table, keys: Sequence[Key]) -> int:
        where = _of_row(table, keys[0]) if len(keys) == 1 else [is_any_row(table.key, keys)]
        return _read_total(await self._send("DELETE", table, where, prefer="count=exact")) or 0

    async def _send(
        self,
        method: str,
        table: Table,
        parameters: Sequence[Parameter],
        *,
        body: bytes = b"",
        prefer: str | None = None,
        text_limit: TextLimit | None = None,
    ) -> Response:
        profile = b"accept-profile" if method in ("GET", "HEAD") else b"content-profile"
        headers = [(profile, table.schema.encode()), (b"content-type", b"application/json")]
        if prefer is not None:
            headers.append((b"prefer", prefer.encode()))
        call = RestCall(
            method,
            f"/{table.name}",
            urlencode(parameters).encode(),
            headers,
            body,
            raw_path=_encode_path(table),
            text_limit=text_limit,
        )
        try:
            return (await self._roads.handle(self._project, self._caller, call)).response
        except DatabaseError as error:
            raise tell_person(from_database(error)) from error
        except PgrestError as error:
            raise tell_person(error) from error
        except (ConnectionFailed, UpstreamUnavailable) as error:
            raise tell_unreachable(error) from error


_RETURN = "return=representation"

RoadsDep = Annotated[Backends, Depends(inject(Backends))]
ProjectsDep = Annotated[Projects, Depends(inject(Projects))]


async def open_desk(
    member: Viewer,
    roads: RoadsDep,
    projects: ProjectsDep,
) -> Desk:
    """What a viewer may not write, the road refuses again."""
    return await make_desk(roads, projects, member.connection.id, member.person, member.role)


async def make_desk(roads: Backends, projects: Projects, connection_id: UUID, person: Person, role: Role) -> Desk:
    project = await projects.get(connection_id)
    seconds = projects.sharing.members.reading.seconds
    caller = make_member_caller(person.id, person.name or person.email, role, project.target, query_seconds=seconds)
    try:
        schema = await project.schema()
    except DatabaseError as error:
        raise tell_person(from_database(error)) from error
    except PgrestError as error:
        raise tell_person(error) from error
    except (ConnectionFailed, UpstreamUnavailable) as error:
        raise tell_unreachable(error) from error
    except SchemaNotExposed as error:
        raise DataRefused(error.text, sqlstate=error.code, hint=error.hint) from error
    return Desk(roads, project, schema, caller)


DeskDep = Annotated[Desk, Depends(open_desk)]


def text_of(column: str) -> str:
    return f"{quote(column)}::text"


def select_texts(columns: Sequence[str]) -> str:
    return ",".join(text_of(column) for column in columns)


def key_of(table: Table, row: Row) -> Key:
    return tuple(row[column] for column in table.key)


def _encode_path(table: Table) -> bytes | None:
    """A name such as `rpc/add_row` must not be taken for a path."""
    return f"/{quote_path(table.name, safe='')}".encode() if "/" in table.name else None


def _of_row(table: Table, key: Key) -> list[Parameter]:
    return [condition.as_parameter() for condition in is_row(table.key, key)]


def _read_total(response: Response) -> int | None:
    told = dict(response.headers).get("Content-Range", "")
    found = _TOTAL.search(told)
    return int(found[1]) if found else None
