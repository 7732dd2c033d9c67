"""All SQL of the journal except the recorder's, which is in `statements`."""

import json
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CursorResult,
    RowMapping,
    Select,
    Text,
    and_,
    case,
    cast,
    column,
    func,
    literal,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer
from sqlalchemy.orm.attributes import set_committed_value

from basewarden.journal.models import JournalMutation, JournalSession, JournalWrite
from basewarden.journal.sessions.queries import IS_NOT_EXPIRED

_columns = msgspec.json.Decoder(dict[str, msgspec.Raw])
PENDING_PER_PAGE = 1000
INTENT_LIFE = timedelta(minutes=5)
"""Longer than the timeout of any request to a project's API."""
DELETED_PERSON = "deleted person"
_CURRENT_XACT = cast(cast(func.pg_current_xact_id(), Text), BigInteger)


@dataclass(frozen=True)
class PendingWrite:
    """An intent has no `xid`. No process is still working on an overdue one."""

    id: UUID
    xid: int | None
    is_overdue: bool


@dataclass(frozen=True)
class MutationView:
    """A mutation with its write."""

    mutation: JournalMutation
    write: JournalWrite

    @property
    def state(self) -> str:
        return self.write.state

    @property
    def primary_key(self) -> dict[str, msgspec.Raw]:
        image = _columns.decode(self.mutation.before or self.mutation.after or "{}")
        return {column: image[column] for column in self.mutation.key_columns}


async def list_connections_with_pending(session: AsyncSession) -> list[UUID]:
    found = await session.scalars(
        select(JournalWrite.connection_id)
        .where(JournalWrite.state == literal("pending", literal_execute=True))
        .distinct()
    )
    return list(found)


async def find_oldest_pending_age(session: AsyncSession) -> timedelta | None:
    """Finds the age of the oldest pending write; None when none is pending."""
    query = select(func.now() - func.min(JournalWrite.at)).where(
        JournalWrite.state == literal("pending", literal_execute=True)
    )
    age: timedelta | None = await session.scalar(query)
    return age


async def list_pending_writes(
    session: AsyncSession, connection_id: UUID, *, after: UUID | None = None
) -> list[PendingWrite]:
    """Lists one page ordered by id; `after` is the last id of the previous page."""
    rows = await session.execute(
        select(JournalWrite.id, JournalWrite.xid, (func.now() - JournalWrite.at > INTENT_LIFE).label("is_overdue"))
        .where(JournalWrite.connection_id == connection_id)
        .where(JournalWrite.state == literal("pending", literal_execute=True))
        .where(JournalWrite.id > after if after is not None else true())
        .order_by(JournalWrite.id)
        .limit(PENDING_PER_PAGE)
    )
    return [PendingWrite(row.id, row.xid, row.is_overdue) for row in rows]


async def set_write_states(session: AsyncSession, states: Mapping[UUID, str]) -> None:
    for state in set(states.values()):
        ids = [write_id for write_id, value in states.items() if value == state]
        await session.execute(
            update(JournalWrite)
            .where(JournalWrite.id.in_(ids), JournalWrite.state == "pending")
            .values(state=state, settled_at=func.now(), settled_xact=_CURRENT_XACT)
        )


async def lock_session(session: AsyncSession, connection_id: UUID, session_id: UUID) -> JournalSession | None:
    return await session.scalar(
        select(JournalSession)
        .where(JournalSession.id == session_id, JournalSession.connection_id == connection_id, IS_NOT_EXPIRED)
        .with_for_update()
    )


async def find_undo_of(session: AsyncSession, session_id: UUID) -> JournalSession | None:
    """Finds the newest undo of a session, running or done."""
    return await session.scalar(
        select(JournalSession)
        .where(JournalSession.undo_of == session_id, JournalSession.undo_state.in_(("running", "done")))
        .order_by(JournalSession.id.desc())
        .limit(1)
    )


def _mutations() -> Select[JournalMutation, JournalWrite]:
    return select(JournalMutation, JournalWrite).join(JournalWrite, JournalWrite.id == JournalMutation.write_id)


async def list_mutations(
    session: AsyncSession, session_id: UUID, *, after_position: int, up_to: int
) -> list[MutationView]:
    """Lists mutations in order, without those of writes that were rolled back."""
    rows = await session.execute(
        _mutations()
        .where(JournalMutation.session_id == session_id)
        .where(JournalMutation.position > after_position, JournalMutation.position <= up_to)
        .where(JournalWrite.state != "aborted")
        .order_by(JournalMutation.position)
    )
    return [MutationView(mutation, write) for mutation, write in rows]


async def find_page_end(
    session: AsyncSession, session_id: UUID, *, limit: int, max_bytes: int, after_position: int = 0
) -> int:
    """Finds the position of the last mutation on a page: at most `limit`, whose images fit in `max_bytes`.

    A page has at least one mutation, whatever its size. Returns `after_position` when there are no more.
    """
    sizes = await session.execute(
        text(
            """
            SELECT position, coalesce(octet_length(before::text), 0) + coalesce(octet_length(after::text), 0)
                + coalesce(octet_length(before_exact::text), 0) + coalesce(octet_length(after_exact::text), 0)
            FROM journal_mutations WHERE session_id = :id AND position > :after ORDER BY position LIMIT :limit
            """
        ),
        {"id": session_id, "after": after_position, "limit": limit},
    )
    end, filled = after_position, 0
    for position, size in sizes:
        filled += size
        if end > after_position and filled > max_bytes:
            break
        end = position
    return end


async def has_mutations(session: AsyncSession, session_id: UUID, *, after_position: int) -> bool:
    """True when mutations follow that were not rolled back."""
    query = (
        select(JournalMutation.id)
        .join(JournalWrite, JournalWrite.id == JournalMutation.write_id)
        .where(JournalMutation.session_id == session_id, JournalMutation.position > after_position)
        .where(JournalWrite.state != "aborted")
    )
    return await session.scalar(query.limit(1)) is not None


async def list_writes(
    session: AsyncSession, session_id: UUID, *, limit: int, after: UUID | None = None
) -> list[JournalWrite]:
    query = select(JournalWrite).where(JournalWrite.session_id == session_id, JournalWrite.state != "aborted")
    if after is not None:
        query = query.where(JournalWrite.id > after)
    return list(await session.scalars(query.order_by(JournalWrite.id).limit(limit)))


async def list_first_mutations(
    session: AsyncSession, write_ids: Sequence[UUID], *, per_write: int
) -> list[JournalMutation]:
    """Lists the first mutations of each write, in order, with long values shortened."""
    first = (
        select(JournalMutation.id, JournalMutation.at)
        .where(JournalMutation.write_id == JournalWrite.id)
        .order_by(JournalMutation.position)
        .limit(per_write)
        .correlate(JournalWrite)
        .lateral()
    )
    wanted = select(first.c.id, first.c.at).select_from(JournalWrite).join(first, true())
    ids = wanted.where(JournalWrite.id.in_(write_ids)).subquery()
    query = (
        _shown_mutations()
        .join(ids, and_(ids.c.id == JournalMutation.id, ids.c.at == JournalMutation.at))
        .order_by(JournalMutation.position)
    )
    return [_with_shown_images(*row) for row in await session.execute(query)]


async def find_write(session: AsyncSession, session_id: UUID, write_id: UUID) -> JournalWrite | None:
    return await session.scalar(
        select(JournalWrite).where(JournalWrite.id == write_id, JournalWrite.session_id == session_id)
    )


async def list_write_mutations(
    session: AsyncSession, write_id: UUID, *, limit: int, after_position: int = 0
) -> list[JournalMutation]:
    """Lists the mutations of a write in order, with long values shortened."""
    query = (
        _shown_mutations()
        .where(JournalMutation.write_id == write_id, JournalMutation.position > after_position)
        .order_by(JournalMutation.position)
        .limit(limit)
    )
    return [_with_shown_images(*row) for row in await session.execute(query)]


async def find_member_write(
    session: AsyncSession, connection_id: UUID, user_id: UUID, write_id: UUID
) -> tuple[JournalWrite, JournalSession] | None:
    """Finds a write that this person made on a page, unless it was rolled back or is being pruned."""
    query = (
        select(JournalWrite, JournalSession)
        .join(JournalSession, JournalSession.id == JournalWrite.session_id)
        .where(JournalWrite.id == write_id, JournalWrite.connection_id == connection_id)
        .where(JournalWrite.state.in_(("pending", "committed")), IS_NOT_EXPIRED)
        .where(JournalSession.kind == "member", JournalSession.user_id == user_id)
    )
    found = (await session.execute(query)).one_or_none()
    return (found[0], found[1]) if found is not None else None


async def count_request_rows(session: AsyncSession, write_id: UUID) -> int:
    """Counts the rows that a write itself changed, without cascades."""
    query = select(func.count()).where(JournalMutation.write_id == write_id, JournalMutation.cause == "request")
    return await session.scalar(query) or 0


async def list_session_rows(
    session: AsyncSession,
    session_id: UUID,
    *,
    limit: int,
    after_position: int = 0,
    table: tuple[str, str] | None = None,
    row_keys: Collection[str] | None = None,
) -> list[JournalMutation]:
    """Lists committed row changes of a session in order, with long values shortened.

    `table` is schema and name; `row_keys` are encoded by `values.encode_key`.
    """
    query = (
        _shown_mutations()
        .join(JournalWrite, JournalWrite.id == JournalMutation.write_id)
        .where(JournalMutation.session_id == session_id, JournalMutation.position > after_position)
        .where(JournalWrite.state == "committed")
        .order_by(JournalMutation.position)
        .limit(limit)
    )
    if table is not None:
        query = query.where(JournalMutation.schema == table[0], JournalMutation.table == table[1])
    if row_keys is not None:
        query = query.where(JournalMutation.row_key.in_(row_keys))
    return [_with_shown_images(*row) for row in await session.execute(query)]


async def count_session_rows(session: AsyncSession, session_id: UUID) -> dict[tuple[str, str, str], int]:
    """Counts the committed row changes of a session by schema, table and verb."""
    rows = await session.execute(
        select(JournalMutation.schema, JournalMutation.table, JournalMutation.verb, func.count())
        .join(JournalWrite, JournalWrite.id == JournalMutation.write_id)
        .where(JournalMutation.session_id == session_id, JournalWrite.state == "committed")
        .group_by(JournalMutation.schema, JournalMutation.table, JournalMutation.verb)
    )
    return {(schema, table, verb): count for schema, table, verb, count in rows}


_IMAGES = ("before", "after", "before_exact", "after_exact")
SHOWN_IMAGE = 8_000
"""Characters of an image's JSON that a page shows whole; in longer images, long values are shortened."""
SHOWN_VALUE = 500


def _shown_mutations() -> Select[*tuple[Any, ...]]:
    """Selects mutations with shortened images, because a row may have any size; read them with `_with_shown_images`."""
    table = JournalMutation.__table__.c
    images = [_cut_image(table[name]).label(f"shown_{name}") for name in _IMAGES]
    return select(JournalMutation, *images).options(*(defer(getattr(JournalMutation, name)) for name in _IMAGES))


def _with_shown_images(mutation: JournalMutation, *images: str | None) -> JournalMutation:
    before, after, *exact = images
    values = [before, after, *(None if image is None else json.loads(image) for image in exact)]
    for name, value in zip(_IMAGES, values, strict=True):
        set_committed_value(mutation, name, value)
    return mutation


def _cut_image(image: ColumnElement[Any]) -> ColumnElement[str | None]:
    """Returns the image's JSON with long values shortened.

    A shortened value is the beginning of its JSON, since PostgreSQL's text cannot hold every escaped character; its
    length and digest distinguish values with the same beginning.
    """
    each = func.json_each(cast(image, JSON)).table_valued("key", column("value", JSON))
    value_text = cast(each.c.value, Text)
    begin = case((func.json_typeof(each.c.value) == "string", 2), else_=1)
    size = func.to_char(func.length(value_text), "FM999,999,999,999")
    digest = func.left(func.md5(value_text), 8)
    short = func.to_json(
        func.concat(func.substr(value_text, begin, SHOWN_VALUE), "… (", size, " characters, #", digest, ")")
    )
    value = case((func.length(value_text) > SHOWN_VALUE, short), else_=each.c.value)
    cut = select(cast(func.json_object_agg(each.c.key, value), Text)).select_from(each).scalar_subquery()
    whole = cast(image, Text)
    return case((func.length(whole) > SHOWN_IMAGE, cut), else_=whole)


async def list_row_history(
    session: AsyncSession, connection_id: UUID, schema: str, table: str, row_key: str, *, limit: int
) -> list[tuple[MutationView, JournalSession]]:
    """Lists the changes of one row, the newest first, with long values shortened.

    `row_key` is encoded by `values.encode_key`.
    """
    same_row = or_(
        and_(func.md5(JournalMutation.row_key) == func.md5(row_key), JournalMutation.row_key == row_key),
        and_(func.md5(JournalMutation.new_row_key) == func.md5(row_key), JournalMutation.new_row_key == row_key),
    )
    rows = await session.execute(
        _shown_mutations()
        .add_columns(JournalWrite, JournalSession)
        .join(JournalWrite, JournalWrite.id == JournalMutation.write_id)
        .join(JournalSession, JournalSession.id == JournalMutation.session_id)
        .where(JournalMutation.connection_id == connection_id)
        .where(JournalMutation.schema == schema, JournalMutation.table == table)
        .where(same_row, JournalWrite.state != "aborted", IS_NOT_EXPIRED)
        .order_by(JournalMutation.id.desc())
        .limit(limit)
    )
    return [
        (MutationView(_with_shown_images(mutation, *images), write), owner) for mutation, *images, write, owner in rows
    ]


async def stream_sessions_of_person(
    session: AsyncSession,
    columns: Sequence[str],
    user_id: UUID,
    *,
    member_of: Sequence[UUID],
    owned: Sequence[UUID],
) -> AsyncGenerator[RowMapping, None]:
    """Streams a person's own sessions, and those of agents on connections they own. `columns` must include `id`."""
    table = JournalSession.__table__.c
    query = select(*(table[name] for name in columns)).where(
        table.status != "expired",
        or_(
            and_(table.user_id == user_id, table.connection_id.in_(member_of)),
            and_(table.agent_id.is_not(None), table.connection_id.in_(owned)),
        ),
    )
    async for row in _stream_pages(session, query, table.id, 200):
        yield row


async def stream_writes(
    session: AsyncSession, columns: Sequence[str], session_id: UUID
) -> AsyncGenerator[RowMapping, None]:
    """Streams all writes of a session in order, including rolled-back ones. `columns` must include `id`."""
    table = JournalWrite.__table__.c
    query = select(*(table[name] for name in columns)).where(table.session_id == session_id)
    async for row in _stream_pages(session, query, table.id, 200):
        yield row


async def stream_mutations(
    session: AsyncSession, columns: Sequence[str], session_id: UUID
) -> AsyncGenerator[RowMapping, None]:
    """Streams the mutations of a session in order, in small pages. `columns` must include `position`."""
    table = JournalMutation.__table__.c
    query = select(*(table[name] for name in columns)).where(table.session_id == session_id)
    async for row in _stream_pages(session, query, table.position, 50):
        yield row


async def _stream_pages(
    session: AsyncSession, query: Select[Any], key: ColumnElement[Any], page_size: int
) -> AsyncGenerator[RowMapping, None]:
    """Streams a query in pages ordered by `key`, so that only one page is in memory."""
    page: Sequence[RowMapping] = ()
    while True:
        part = query.where(key > page[-1][key]) if page else query
        page = (await session.execute(part.order_by(key).limit(page_size))).mappings().all()
        for row in page:
            yield row
        if len(page) < page_size:
            return


async def anonymise_person(session: AsyncSession, user_id: UUID) -> int:
    """Removes a person's name and labels from their sessions; the sessions are kept."""
    query = update(JournalSession).where(JournalSession.user_id == user_id)
    result = await session.execute(query.values(caller_name=DELETED_PERSON, label=None))
    assert isinstance(result, CursorResult)
    return result.rowcount


_FIND_LATER = """
    SELECT m.id, later.id AS later_id, later.at AS later_at FROM journal_mutations AS m
    CROSS JOIN LATERAL (
        SELECT r.id, r.at, r.session_id FROM journal_mutations AS r JOIN journal_writes AS w ON w.id = r.write_id
        WHERE r.connection_id = m.connection_id AND r.schema_name = m.schema_name AND r.table_name = m.table_name
          AND md5(r.row_key) = md5(coalesce(m.new_row_key, m.row_key))
          AND r.row_key = coalesce(m.new_row_key, m.row_key) AND w.state = 'committed' AND r.id > m.id
          AND (CAST(:before AS timestamptz) IS NULL OR r.at < :before)
        ORDER BY r.id DESC LIMIT 1) AS later
    JOIN journal_sessions AS s ON s.id = later.session_id
    WHERE m.id = ANY(:ids) AND m.at >= :since AND s.id <> m.session_id AND s.kind <> 'undo'
"""


async def list_later_changes(
    session: AsyncSession, mutations: Sequence[JournalMutation], before: datetime | None = None
) -> dict[int, tuple[JournalMutation, JournalSession]]:
    """Finds, by the ids of row changes, the last change of the same row, where another session made it.

    With a time, the last one `before` it.
    """
    if not mutations:
        return {}
    values = {"ids": [one.id for one in mutations], "since": min(one.at for one in mutations), "before": before}
    found = list(await session.execute(text(_FIND_LATER), values))
    if not found:
        return {}
    ids, since = {row.later_id for row in found}, min(row.later_at for row in found)
    query = (
        _shown_mutations()
        .add_columns(JournalSession)
        .join(JournalSession, JournalSession.id == JournalMutation.session_id)
        .where(JournalMutation.id.in_(ids), JournalMutation.at >= since)
    )
    rows = await session.execute(query)
    later = {mutation.id: (_with_shown_images(mutation, *images), owner) for mutation, *images, owner in rows}
    return {row.id: later[row.later_id] for row in found if row.later_id in later}


_FIND_LEFT = """
    SELECT m.write_id, m.position FROM journal_mutations AS m
    WHERE m.write_id = ANY(:writes) AND NOT EXISTS (
        SELECT FROM journal_sessions AS u JOIN journal_mutations AS r ON r.session_id = u.id
        WHERE u.undo_of = m.session_id AND u.undo_state = 'done' AND u.status <> 'undone'
          AND (u.receipt->'writes' IS NULL OR jsonb_exists(u.receipt->'writes', m.write_id::text))
          AND r.connection_id = m.connection_id AND r.schema_name = m.schema_name AND r.table_name = m.table_name
          AND md5(r.row_key) = md5(coalesce(m.new_row_key, m.row_key)))
    LIMIT :limit
"""


async def list_left_positions(session: AsyncSession, write_ids: Sequence[UUID], *, limit: int) -> dict[UUID, set[int]]:
    """Lists by write the positions of rows that no undo of their session has written; at most `limit`."""
    left: dict[UUID, set[int]] = {}
    for row in await session.execute(text(_FIND_LEFT), {"writes": list(write_ids), "limit": limit}):
        left.setdefault(row.write_id, set()).add(row.position)
    return left
