"""What a rule of the sentry is: one question to a database's catalog, and what each row of the answer means."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple


class Severity(StrEnum):
    """From the worst on."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class ObjectType(StrEnum):
    TABLE = "table"
    VIEW = "view"
    FUNCTION = "function"
    SEQUENCE = "sequence"
    SCHEMA = "schema"
    ROLE = "role"
    PUBLICATION = "publication"
    BUCKET = "bucket"
    EXTENSION = "extension"
    DATABASE = "database"


class ProbeAttempt(StrEnum):
    """What a probe tries. `hand_over`: a user gives a row of their own to another."""

    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    HAND_OVER = "hand_over"

    @property
    def verb(self) -> str:
        return "update" if self is ProbeAttempt.HAND_OVER else self.value


WRITES: Final = (ProbeAttempt.INSERT, ProbeAttempt.UPDATE, ProbeAttempt.DELETE)


class ScannedObject(NamedTuple):
    """`arguments` are a function's, as the catalog spells them; without a schema, `schema` is empty."""

    type: ObjectType
    schema: str
    name: str
    column: str | None = None
    arguments: str | None = None


class Hit(NamedTuple):
    """A row of a rule's answer: what was found, which of the API's roles reach it, and what the catalog says of it."""

    object: ScannedObject
    roles: Sequence[str]
    facts: Mapping[str, Any]


class RuleVerdict(NamedTuple):
    """What one hit means, in plain words. `fix` is SQL; None where a person must choose."""

    severity: Severity
    title: str
    explanation: str
    fix: str | None = None


Assess = Callable[[Hit], RuleVerdict | None]
"""None where the hit is harmless."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`id` never changes. `query` is one SELECT of `type, schema, name, column_name, arguments, roles, facts`.

    It runs with `search_path = pg_catalog`, and `$1` are the names of the exposed schemas. `roles` is an array of text,
    `facts` is JSON. With `reads_rows`, a probe then tries to read the object's rows as a stranger and as two users.
    `writes` are what else probes try, on a row of one of these users, where the verdict is about writing.
    `is_everywhere`: it also finds objects outside the exposed schemas.
    `needs` are relations or functions without which the rule does not apply, as `storage.buckets`.
    """

    id: str
    title: str
    query: str
    assess: Assess
    reads_rows: bool = False
    writes: Sequence[ProbeAttempt] = ()
    is_everywhere: bool = False
    needs: Sequence[str] = ()

    @property
    def attempts(self) -> Sequence[ProbeAttempt]:
        """What probes try of what it finds."""
        return (*((ProbeAttempt.SELECT,) if self.reads_rows else ()), *self.writes)
