"""How items are called in sentences, and quoted in SQL."""

from typing import Final

from basewarden.sentry.history.structure import ItemKey, ItemKind
from pgrest import quote_ident

_ONE_LINE: Final = str.maketrans({"\n": " ", "\r": " "})
_ROUTINE: Final = "routine"


def name_object(key: ItemKey) -> str:
    """The object that the item is, or is a part of: with its schema, a function with its arguments."""
    if not key.name:
        return key.schema
    name = f"{key.schema}.{key.name}" if key.schema else key.name
    return f"{name}({key.part})" if _is_function(key) else name


def name_role(role: str) -> str:
    return role or "PUBLIC"


def quote_object_of(key: ItemKey) -> str:
    if not key.name:
        return quote_ident(key.schema)
    name = f"{quote_ident(key.schema)}.{quote_ident(key.name)}"
    return f"{name}({key.part})" if _is_function(key) else name


def quote_role(role: str) -> str:
    return quote_ident(role) if role else "PUBLIC"


def write_comment(text: str) -> str:
    """On one line, so that no name ends it."""
    return f"-- {text.translate(_ONE_LINE)}"


def _is_function(key: ItemKey) -> bool:
    return key.kind is ItemKind.FUNCTION or key.on == _ROUTINE
