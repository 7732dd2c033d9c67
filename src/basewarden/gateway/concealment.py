"""Limits what an error says to a caller. Status and code stay; names that the caller may not know are removed.

No caller learns where the database is. A caller with a table list learns no name outside the list:
PostgreSQL's messages name tables, constraints and functions that a statement used, and PostgREST's hints name what was
probably meant. Errors that the owner's own functions raise in their own words pass.
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote_plus

from basewarden.gateway.errors import CaptureNotVisible, NotCaptured
from basewarden.policy import ColumnDenied, table_denied
from pgrest import (
    DatabaseError,
    DatabaseErrorFields,
    NarrowedSchema,
    PgrestError,
    from_database,
)

_CONNECTION = frozenset({"PGRST000", "PGRST001", "PGRST002"})
_NOT_FOUND = "PGRST2"
_NO_FUNCTION, _NO_RELATIONSHIP = "PGRST202", "PGRST200"
_STATE = re.compile(r"[0-9A-Z]{5}\Z")
_INTEGRITY, _FOREIGN_KEY = "23", "23503"
# PostgreSQL's own classes. What is of none of them, or of PL/pgSQL's P0, a function of the owner's raised.
_ABOUT_VALUES = frozenset({"02", "20", "21", "22", "24", "25", "26", "2D", "40", "53", "54", "57"})
_ABOUT_OBJECTS = frozenset(
    {"08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "27", "28", "2B", "2F", "34", "38", "39"}
) | {*("3B", "3D", "3F", "42", "44", "55", "58", "72", "F0", "HV", "XX")}
_WORD = re.compile(r"[^\W\d][\w$]*")
_QUOTED = re.compile(r'"([^"]+)"')
_BARE = (
    re.compile(r"(?:for|owner of)(?: [a-z]+)? [a-z]+ ([\w$.]+)$"),  # permission denied for table x
    re.compile(r"column ([\w$.]+) does not exist"),
    re.compile(r"(?:function|procedure) ([\w$.]+)\("),
)
_OF_COLUMN = re.compile(r"column ([\w$]+)\.[^.]+ does not exist\Z")
_ROW_VALUES = re.compile(r"=\(.*\)|contains \(.*\)", re.DOTALL)
_NUMBERED = re.compile(r"_\d+$")  # how the table of related rows is called in a statement
_NEUTRAL = "The database refused this. Its reason is not shown to this token."


def conceal(error: Exception, narrowed: NarrowedSchema | None, sent: bytes) -> Exception:
    """The error to raise instead, or the same one. `narrowed` is None for a caller without a list.

    `sent` is the path and the query, then the body on a line of its own: a value that the caller sent is no news to it.
    What is shown must not depend on whether a word that it sent is the name of something hidden.
    """
    if isinstance(error, PgrestError) and error.code in _CONNECTION:
        return PgrestError(error.status, error.code, error.message, headers=error.headers)
    if narrowed is None:
        return error
    if isinstance(error, PgrestError) and error.code == ColumnDenied.code:
        return ColumnDenied(details=error.details)
    if isinstance(error, DatabaseError):
        translated = from_database(error)
        if narrowed.rules:  # a row's values are in the details
            translated = PgrestError(translated.status, translated.code, translated.message, headers=translated.headers)
        return translated if _may_show(translated, error.fields, narrowed, sent) else _neutralize(translated)
    if isinstance(error, PgrestError):
        return _conceal_refusal(error, narrowed, sent)
    return _conceal_own(error, narrowed)


def _conceal_refusal(error: PgrestError, narrowed: NarrowedSchema, sent: bytes) -> Exception:
    if error.about is not None and error.about not in narrowed.visible:
        return table_denied(error.about)
    if error.code.startswith(_NOT_FOUND):
        echoed = None if error.code == _NO_RELATIONSHIP else error.details  # else of words that were sent
        if _mentions_hidden((error.hint, echoed), narrowed) or _suggests_hidden_function(error, narrowed):
            return PgrestError(error.status, error.code, error.message)
        return error
    if _STATE.match(error.code) and not _may_show(error, None, narrowed, sent):
        return _neutralize(error)
    return error


def _conceal_own(error: Exception, narrowed: NarrowedSchema) -> Exception:
    """A write may be refused for what it would do in another table."""
    if isinstance(error, NotCaptured | CaptureNotVisible) and _mentions_hidden((error.text, error.hint), narrowed):
        return NotCaptured() if isinstance(error, NotCaptured) else CaptureNotVisible()
    return error


def _neutralize(error: PgrestError) -> PgrestError:
    return PgrestError(error.status, error.code, _NEUTRAL, headers=error.headers)


def _suggests_hidden_function(error: PgrestError, narrowed: NarrowedSchema) -> bool:
    if error.code != _NO_FUNCTION or error.hint is None:
        return False
    return not any(f" {schema}.{name}" in f"{error.hint}(".replace("(", " ") for schema, name in narrowed.callable)


# PostgreSQL's own ----------------------------------------------------------------------------------------


def _may_show(error: PgrestError, fields: DatabaseErrorFields | None, narrowed: NarrowedSchema, sent: bytes) -> bool:
    kind = error.code[:2]
    texts = [text for text in (error.message, error.details, error.hint) if isinstance(text, str)]
    if kind == _INTEGRITY:
        bare = [_ROW_VALUES.sub("", text) for text in texts]
        return not _mentions_hidden(bare, narrowed) and _is_own_violation(bare, fields, narrowed)
    if kind in _ABOUT_VALUES:
        return all(name in narrowed.known_names or _was_sent(name, sent) for name in _list_names(texts))
    if kind in _ABOUT_OBJECTS:
        others = [text for text in texts if not _is_of_own_column(text, narrowed)]
        names = _list_names(others)
        return not _mentions_hidden(others, narrowed) and all(_is_known(name, narrowed.known_names) for name in names)
    return True


def _was_sent(name: str, sent: bytes) -> bool:
    head, _, body = sent.partition(b"\n")
    return name in unquote_plus(head.decode("utf-8", "replace")) or name.encode() in body


def _is_of_own_column(text: str, narrowed: NarrowedSchema) -> bool:
    """That a visible table has no such column, whatever else has that name."""
    found = _OF_COLUMN.match(text)
    return found is not None and _is_known(found[1], {name for _, name in narrowed.visible})


def _is_own_violation(texts: Iterable[str], fields: DatabaseErrorFields | None, narrowed: NarrowedSchema) -> bool:
    """Of a constraint of a visible table; of a foreign key, of two."""
    if fields is None or fields.table is None or fields.schema is None:
        return all(_is_known(name, narrowed.known_names) or _is_own_key(name, narrowed) for name in _list_names(texts))
    table = (fields.schema, fields.table)
    if table not in narrowed.visible or table not in narrowed.tables:
        return False
    if fields.sqlstate != _FOREIGN_KEY:
        return True
    keys = (key for key in narrowed.tables[table].foreign_keys_out if key.name == fields.constraint)
    return any(key.ref_table in narrowed.visible for key in keys)


def _is_own_key(name: str, narrowed: NarrowedSchema) -> bool:
    """By PostgreSQL's usual names, where no more is known."""
    return any(name.startswith(f"{table}_") for _, table in narrowed.visible)


def _mentions_hidden(texts: Iterable[object], narrowed: NarrowedSchema) -> bool:
    words = {word for text in texts if text is not None for word in _WORD.findall(str(text))}
    return not words.isdisjoint(narrowed.hidden_names)


def _list_names(texts: Iterable[str]) -> list[str]:
    """What a message marks as a name."""
    whole = [name for text in texts for name in (*_QUOTED.findall(text), *_find_bare(text))]
    return [part for name in whole for part in name.split(".")]


def _find_bare(text: str) -> Iterable[str]:
    return (found[1] for pattern in _BARE if (found := pattern.search(text)) is not None)


def _is_known(name: str, known: frozenset[str] | set[str]) -> bool:
    return name in known or _NUMBERED.sub("", name) in known
