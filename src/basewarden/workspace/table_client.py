"""Reads and writes a project's tables for one member through the data API, so policy, journal and undo apply.

Every value is requested as PostgreSQL's own text, so that no number passes through a float.
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
from basewarden.workspace.errors import DataRefused, explain_error, explain_unreachable
from basewarden.workspace.kept_counts import KeptCounts, TableCounts
from pgrest import DatabaseError, PgrestError, Response, Schema, Table, TextLimit, from_database

ChangeCount = Literal["exact", "planned"]
Row = Mapping[str, Any]
Key = tuple[str, ...]

_TOTAL = re.compile(r"/(\d+)\Z")
_decode_rows = msgspec.json.Decoder(list[dict[str, Any]]).decode


@dataclass(frozen=True, slots=True)
class RowPage:
    """`total` is the exact or estimated count, None if none was requested."""

    rows: Sequence[Row]
    total: int | None = None


class TableClient:
    def __init__(self, backends: Backends, project: AnyProject, schema: Schema, caller: Caller) -> None:
        self._backends = backends
        self._project = project
        self._caller = caller
        self.schema = schema
        self.last_write: UUID | None = None
        """The journal's id of the newest write; None where there was none, or where it took several."""
        self.counts: TableCounts = {}
        """The latest counts of rows, which are shared by the clients of one member."""

    async def read(
        self,
        table: Table,
        parameters: Sequence[Parameter],
        *,
        count: ChangeCount | None = None,
        text_limit: TextLimit | None = None,
    ) -> RowPage:
        """Reads rows. Only a direct connection applies `text_limit`; a project's API returns whole values."""
        response = await self._send(
            "GET", table, parameters, prefer=f"count={count}" if count else None, text_limit=text_limit
        )
        total = _read_total(response)
        if response.status == 416:  # a page beyond the last row
            return RowPage((), total)
        return RowPage(_decode_rows(response.body), total)

    async def find_row(self, table: Table, key: Key, select: str, *, text_limit: TextLimit | None = None) -> Row | None:
        found = await self.read(table, [*_of_row(table, key), ("select", select)], text_limit=text_limit)
        return found.rows[0] if found.rows else None

    async def count(self, table: Table, parameters: Sequence[Parameter], *, count: ChangeCount = "exact") -> int | None:
        """Counts rows with a read that returns none; fails like a read when a condition is invalid."""
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
        """Updates a row and returns its new values; None if no row has this key and the expected values."""
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
            result = await self._backends.handle(self._project, self._caller, call)
        except DatabaseError as error:
            raise explain_error(from_database(error)) from error
        except PgrestError as error:
            raise explain_error(error) from error
        except (ConnectionFailed, UpstreamUnavailable) as error:
            raise explain_unreachable(error) from error
        self.last_write = result.write_id or self.last_write
        return result.response


_RETURN = "return=representation"

BackendsDep = Annotated[Backends, Depends(inject(Backends))]
ProjectsDep = Annotated[Projects, Depends(inject(Projects))]


async def get_table_client(
    member: Viewer,
    backends: BackendsDep,
    projects: ProjectsDep,
    kept: Annotated[KeptCounts, Depends(inject(KeptCounts))],
) -> TableClient:
    """Opens a client for the member; the data API itself refuses what the role may not write."""
    client = await make_table_client(backends, projects, member.connection.id, member.person, member.role)
    client.counts = kept.find(member.connection.id, member.person.id)
    return client


async def make_table_client(
    backends: Backends, projects: Projects, connection_id: UUID, person: Person, role: Role
) -> TableClient:
    project = await projects.get(connection_id)
    seconds = projects.sharing.members.reading.seconds
    caller = make_member_caller(person.id, person.name or person.email, role, project.target, query_seconds=seconds)
    try:
        schema = await project.schema()
    except DatabaseError as error:
        raise explain_error(from_database(error)) from error
    except PgrestError as error:
        raise explain_error(error) from error
    except (ConnectionFailed, UpstreamUnavailable) as error:
        raise explain_unreachable(error) from error
    except SchemaNotExposed as error:
        raise DataRefused(error.text, sqlstate=error.code, hint=error.hint) from error
    return TableClient(backends, project, schema, caller)


TableClientDep = Annotated[TableClient, Depends(get_table_client)]


def text_of(column: str) -> str:
    return f"{quote(column)}::text"


def select_texts(columns: Sequence[str]) -> str:
    return ",".join(text_of(column) for column in columns)


def key_of(table: Table, row: Row) -> Key:
    return tuple(row[column] for column in table.key)


def _encode_path(table: Table) -> bytes | None:
    """Encodes a table name with a slash, such as `rpc/add_row`, so that it is not read as a path."""
    return f"/{quote_path(table.name, safe='')}".encode() if "/" in table.name else None


def _of_row(table: Table, key: Key) -> list[Parameter]:
    return [condition.as_parameter() for condition in is_row(table.key, key)]


def _read_total(response: Response) -> int | None:
    content_range = dict(response.headers).get("Content-Range", "")
    found = _TOTAL.search(content_range)
    return int(found[1]) if found else None
