"""Nothing of a person is forgotten by the export, and nothing secret gets into it.

A new table that holds a person's rows, and a new column of a table that is exported, fail here until it is decided
what becomes of them.
"""

import re
from collections.abc import Iterable, Iterator

import pytest
from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, MetaData, Table, Text

from basewarden.accounts import Export, ExportPart, ExportRows, Person
from basewarden.app import build_registry
from basewarden.db import Base, ReadSession
from tests.fixtures.app import make_settings

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
PEOPLE = "users"
NAMES_A_PERSON = re.compile(r"(?:^|_)(?:user|person|member|caller|subject|owner|author)(?:_id|_key)?$|^created_by$")
SECRET = re.compile(r"hash|token|salt|secret|sealed|password(?!_changed_at$)|digest")
EXCEPTIONS = {
    "agent_use": "counts of an agent's rows that live for two hours",
    "billing_checkout_claims": "says for seconds that a checkout is being made",
    "passkey_challenges": "random bytes that live for minutes",
    "oauth_states": "random bytes that live for minutes",
    "alert_events": "ids of the journal's rows that wait for minutes; a message with them is exported",
}


def find_forgotten_tables(metadata: MetaData, parts: Iterable[ExportPart], exceptions: Iterable[str]) -> list[str]:
    known = {part.table for part in parts} | set(exceptions)
    return sorted(table.name for table in metadata.tables.values() if is_personal(table) and table.name not in known)


def is_personal(table: Table) -> bool:
    """People themselves, what hangs on them over however many tables, and what names them without a foreign key."""
    return leads_to_people(table, set()) or any(NAMES_A_PERSON.search(column.name) for column in table.columns)


def leads_to_people(table: Table, seen: set[str]) -> bool:
    if table.name == PEOPLE:
        return True
    seen.add(table.name)
    above = (key.column.table for key in table.foreign_keys)
    return any(leads_to_people(other, seen) for other in above if other.name not in seen)


def find_undecided_columns(metadata: MetaData, parts: Iterable[ExportPart]) -> Iterator[str]:
    for part in parts:
        table = metadata.tables.get(part.table)
        if table is None:
            yield f"{part.table}: there is no such table"
            continue
        there, named = {column.name for column in table.columns}, set(part.columns) | set(part.left_out)
        yield from (f"{part.table}.{name}: export it, or say why not" for name in sorted(there - named))
        yield from (f"{part.table}.{name}: is not there" for name in sorted(named - there))
        yield from (
            f"{part.table}.{name}: exported and left out" for name in sorted({*part.columns} & {*part.left_out})
        )
        yield from (f"{part.table}.{name}: no reason" for name, reason in part.left_out.items() if not reason.strip())


def find_exported_secrets(metadata: MetaData, parts: Iterable[ExportPart]) -> list[str]:
    return [
        f"{part.table}.{name}"
        for part in parts
        for name in (*part.columns, *part.joined)
        if SECRET.search(name) or is_sealed(metadata, part.table, name)
    ]


def is_sealed(metadata: MetaData, table: str, name: str) -> bool:
    """Marked by the vault; and bytes are never for people anyway."""
    column = metadata.tables[table].columns.get(name)
    return column is not None and (bool(column.info.get("sealed")) or isinstance(column.type, LargeBinary))


@pytest.fixture
def parts() -> tuple[ExportPart, ...]:
    return build_registry(make_settings(NOWHERE)).get(Export).parts


def test_every_table_of_a_person_is_exported(parts: tuple[ExportPart, ...]) -> None:
    assert len(parts) > 12
    assert find_forgotten_tables(Base.metadata, parts, EXCEPTIONS) == []


def test_every_exception_is_needed(parts: tuple[ExportPart, ...]) -> None:
    needed = find_forgotten_tables(Base.metadata, parts, ())
    assert sorted(EXCEPTIONS) == needed


def test_every_column_is_decided_about(parts: tuple[ExportPart, ...]) -> None:
    assert list(find_undecided_columns(Base.metadata, parts)) == []
    assert len({part.name for part in parts}) == len(parts)


def test_no_secret_is_exported(parts: tuple[ExportPart, ...]) -> None:
    assert find_exported_secrets(Base.metadata, parts) == []


async def list_nothing(_session: ReadSession, _person: Person) -> ExportRows:
    yield {}


def make_tables() -> MetaData:
    metadata = MetaData()
    Table("users", metadata, Column("id", Integer, primary_key=True), Column("name", Text))
    Table("pets", metadata, Column("id", Integer, primary_key=True), Column("keeper", ForeignKey("users.id")))
    Table(
        "toys", metadata, Column("pet", ForeignKey("pets.id")), Column("chew_token", Text), Column("tag", LargeBinary)
    )
    Table("diaries", metadata, Column("id", Integer), Column("subject", Text))
    Table("weather", metadata, Column("id", Integer), Column("degrees", Integer))
    return metadata


def make_part(table: str, columns: tuple[str, ...], **left_out: str) -> ExportPart:
    return ExportPart(table, table, list_nothing, columns, left_out)


def test_a_forgotten_table_is_found() -> None:
    metadata = make_tables()
    some = [make_part("users", ("id", "name"))]
    assert find_forgotten_tables(metadata, some, ()) == ["diaries", "pets", "toys"]
    assert find_forgotten_tables(metadata, [*some, make_part("toys", ())], ["pets"]) == ["diaries"]


def test_an_undecided_column_and_an_exported_secret_are_found() -> None:
    metadata = make_tables()
    Table("safes", metadata, Column("url", Text, info={"sealed": True}))
    some = [
        make_part("users", ("id",)),
        make_part("pets", ("id", "keeper", "gone"), keeper="", age="old"),
        make_part("toys", ("pet", "chew_token", "tag")),
        make_part("safes", ("url",)),
        make_part("castles", ()),
    ]
    assert list(find_undecided_columns(metadata, some)) == [
        "users.name: export it, or say why not",
        "pets.age: is not there",
        "pets.gone: is not there",
        "pets.keeper: exported and left out",
        "pets.keeper: no reason",
        "castles: there is no such table",
    ]
    assert find_exported_secrets(metadata, some[:4]) == ["toys.chew_token", "toys.tag", "safes.url"]
