"""Statements that go out in one round trip, with their answers by name."""

from collections.abc import Mapping
from typing import Self

from pgrest.sql.text import Statement
from pgrest.wire.connection import DbConnection, Rows


class Pipeline:
    """Built step by step and run once."""

    __slots__ = ("_places", "_statements")

    def __init__(self, *opening: Statement) -> None:
        self._statements = [*opening]
        self._places: dict[str, int] = {}

    def then(self, *statements: Statement) -> Self:
        """Statements whose answers no one reads."""
        self._statements.extend(statements)
        return self

    def named(self, name: str, statement: Statement) -> Self:
        self._places[name] = len(self._statements)
        self._statements.append(statement)
        return self

    async def run(self, connection: DbConnection) -> Mapping[str, Rows]:
        """Raises DatabaseError for the first statement that fails."""
        answers = await connection.run(self._statements)
        return {name: answers[place] for name, place in self._places.items()}
