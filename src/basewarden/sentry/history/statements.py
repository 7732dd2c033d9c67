"""Changes of a schema as SQL: what would make the same change again. It is shown and never run."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from basewarden.sentry.access.restoring import write_policy
from basewarden.sentry.access.state import PolicyState
from basewarden.sentry.history.comparing import ChangeAction, StructureChange
from basewarden.sentry.history.naming import name_object, quote_object_of, quote_role, write_comment
from basewarden.sentry.history.structure import Facts, ItemKey, ItemKind
from pgrest import quote_ident, quote_literal

_CREATED: Final = {"enum": "TYPE", "composite": "TYPE", "range": "TYPE", "domain": "DOMAIN"}
_NO_BODY: Final = "Bodies of functions are not kept."
_NO_ARGUMENTS: Final = "Arguments of triggers are not kept."


def write_change(change: StructureChange) -> str:
    """Statements that end with a semicolon, or comments where there is no statement for it."""
    lines = list(_write(change))
    return "\n".join(lines) or write_comment(f"{name_object(change.key)}: nothing that SQL can say")


def _write(change: StructureChange) -> Iterator[str]:
    match change.key.kind:
        case ItemKind.GRANT | ItemKind.DEFAULT_GRANT:
            yield from _write_grant(change)
        case ItemKind.COLUMN:
            yield from _write_column(change)
        case ItemKind.TABLE:
            yield from _write_table(change)
        case ItemKind.FUNCTION:
            yield from _write_function(change)
        case ItemKind.TYPE | ItemKind.EXTENSION | ItemKind.SCHEMA | ItemKind.SEQUENCE | ItemKind.VIEW:
            yield from _write_object(change)
        case _:
            yield from _write_part(change)


# Tables and their parts -----------------------------------------------------------------------------------


def _write_table(change: StructureChange) -> Iterator[str]:
    name = quote_object_of(change.key)
    facts = change.new or change.old or {}
    word = "FOREIGN TABLE" if facts.get("form") == "foreign table" else "TABLE"
    if change.action is ChangeAction.REMOVED:
        yield f"DROP {word} {name};"
        return
    if change.action is ChangeAction.ADDED:
        yield from _create_table(word, name, facts, change.parts)
    elif "partition_of" in change.differing:
        yield write_comment(f"{name_object(change.key)} is now: {facts.get('partition_of') or 'no partition'}")
    yield from _alter_owner(change, f"ALTER {word} {name}")
    yield from _alter_options(change, f"ALTER {word} {name}")
    for fact, on, off in (("has_rls", "ENABLE", "DISABLE"), ("forces_rls", "FORCE", "NO FORCE")):
        if facts.get(fact) if change.old is None else fact in change.differing:
            yield f"ALTER TABLE {name} {on if facts.get(fact) else off} ROW LEVEL SECURITY;"


def _create_table(word: str, name: str, facts: Facts, parts: Sequence[tuple[ItemKey, Facts]]) -> Iterator[str]:
    if facts.get("partition_of"):
        yield f"CREATE {word} {name} PARTITION OF {facts['partition_of']};"
        for key, part in parts:
            if key.kind is ItemKind.CONSTRAINT:
                yield _add_part(key, name, quote_ident(key.part), part)
        return
    body = ",\n".join(f"  {_declare(key, part)}" for key, part in parts)
    by = f" PARTITION BY {facts['partitioned_by']}" if facts.get("partitioned_by") else ""
    yield f"CREATE {word} {name} (\n{body}\n){by};"


def _declare(key: ItemKey, facts: Facts) -> str:
    name = quote_ident(key.part)
    if key.kind is ItemKind.CONSTRAINT:
        return f"CONSTRAINT {name} {facts['definition']}"
    return " ".join([name, facts["type"], *_list_column_clauses(facts)])


def _list_column_clauses(facts: Facts) -> Iterator[str]:
    if facts.get("generated"):
        yield f"GENERATED ALWAYS AS {facts['generated']}"
    if facts.get("identity"):
        yield f"GENERATED {facts['identity']} AS IDENTITY"
    if facts.get("default"):
        yield f"DEFAULT {facts['default']}"
    if facts.get("is_required"):
        yield "NOT NULL"


def _write_column(change: StructureChange) -> Iterator[str]:
    column = quote_ident(change.key.part)
    alter = f"ALTER TABLE {quote_object_of(change.key)}"
    if change.new is None:
        yield f"{alter} DROP COLUMN {column};"
    elif change.old is None:
        yield f"{alter} ADD COLUMN {_declare(change.key, change.new)};"
    else:
        for fact in change.differing:
            yield _alter_column(f"{alter} ALTER COLUMN {column}", fact, change.old.get(fact), change.new.get(fact))


def _alter_column(alter: str, fact: str, old: Any, new: Any) -> str:
    match fact:
        case "type":
            return f"{alter} TYPE {new};"
        case "is_required":
            return f"{alter} {'SET' if new else 'DROP'} NOT NULL;"
        case "default":
            return f"{alter} SET DEFAULT {new};" if new is not None else f"{alter} DROP DEFAULT;"
        case "identity" if new is None:
            return f"{alter} DROP IDENTITY;"
        case "identity":
            return f"{alter} {'ADD' if old is None else 'SET'} GENERATED {new}{' AS IDENTITY' if old is None else ''};"
    return f"{alter} DROP EXPRESSION;" if new is None else f"{alter} SET EXPRESSION AS {new.rpartition(' ')[0]};"


def _write_part(change: StructureChange) -> Iterator[str]:
    """Constraints, indexes, triggers and policies are made again where they changed."""
    key, table, part = change.key, quote_object_of(change.key), quote_ident(change.key.part)
    if key.kind is ItemKind.TRIGGER and change.differing == ["enabled"]:
        yield f"ALTER TABLE {table} {'ENABLE' if (change.new or {})['enabled'] else 'DISABLE'} TRIGGER {part};"
        return
    if change.old is not None:
        yield _drop_part(key, table, part)
    if change.new is not None:
        yield _add_part(key, table, part, change.new)


def _drop_part(key: ItemKey, table: str, part: str) -> str:
    match key.kind:
        case ItemKind.CONSTRAINT:
            return f"ALTER TABLE {table} DROP CONSTRAINT {part};"
        case ItemKind.INDEX:
            return f"DROP INDEX {quote_ident(key.schema)}.{part};"
    return f"DROP {key.kind.upper()} {part} ON {table};"


def _add_part(key: ItemKey, table: str, part: str, facts: Facts) -> str:
    match key.kind:
        case ItemKind.CONSTRAINT:
            return f"ALTER TABLE {table} ADD CONSTRAINT {part} {facts['definition']};"
        case ItemKind.POLICY:
            missing = {"using": None, "check": None}
            policy = msgspec.convert({"name": key.part, **missing, **facts}, PolicyState, strict=False)
            return f"{write_policy(policy, table)};"
        case ItemKind.TRIGGER if "arguments" in facts:
            return write_comment(f"{facts['definition']}. {_NO_ARGUMENTS}")
    return f"{facts['definition']};"


# Other objects --------------------------------------------------------------------------------------------


def _write_object(change: StructureChange) -> Iterator[str]:
    key, facts = change.key, change.new or change.old or {}
    name = quote_ident(key.name) if key.kind is ItemKind.EXTENSION else quote_object_of(key)
    word = _CREATED.get(str(facts.get("form")), (facts.get("form") or key.kind.value).upper())
    if change.action is ChangeAction.REMOVED:
        yield f"DROP {word} {name};"
        return
    if change.action is ChangeAction.ADDED:
        yield _create_object(key, word, name, facts)
    else:
        yield from _alter_object(change, word, name, facts)
    yield from _alter_owner(change, f"ALTER {word} {name}")
    yield from _alter_options(change, f"ALTER {word} {name}")


def _create_object(key: ItemKey, word: str, name: str, facts: Facts) -> str:
    match key.kind:
        case ItemKind.SCHEMA:
            return f"CREATE SCHEMA {name};"
        case ItemKind.EXTENSION:
            version = quote_literal(facts["version"])
            return f"CREATE EXTENSION {name} SCHEMA {quote_ident(key.schema)} VERSION {version};"
        case ItemKind.VIEW:
            return f"CREATE {word} {name} AS\n{_end(facts['definition'])}"
        case ItemKind.SEQUENCE:
            return f"CREATE SEQUENCE {name} {facts['definition']};"
    return f"CREATE {word} {name} AS {_define_type(facts)};"


def _define_type(facts: Facts) -> str:
    match facts.get("form"):
        case "enum":
            return f"ENUM ({', '.join(map(quote_literal, facts.get('labels') or ()))})"
        case "range":
            return f"RANGE ({facts.get('definition', '')})"
        case "composite":
            return f"({facts.get('definition', '')})"
    return str(facts.get("definition", ""))


def _alter_object(change: StructureChange, word: str, name: str, facts: Facts) -> Iterator[str]:
    if "version" in change.differing:
        yield f"ALTER EXTENSION {name} UPDATE TO {quote_literal(facts['version'])};"
    if "labels" in change.differing:
        yield from _alter_labels(change, name)
    if "definition" in change.differing:
        yield from _define_again(change.key, word, name, facts)


def _define_again(key: ItemKey, word: str, name: str, facts: Facts) -> Iterator[str]:
    if key.kind is ItemKind.SEQUENCE:
        yield f"ALTER SEQUENCE {name} {facts.get('definition', '')};"
    elif word == "VIEW":
        yield f"CREATE OR REPLACE VIEW {name} AS\n{_end(facts['definition'])}"
    else:
        yield f"DROP {word} {name};"
        yield _create_object(key, word, name, facts)


def _alter_labels(change: StructureChange, name: str) -> Iterator[str]:
    old, new = ((facts or {}).get("labels") or [] for facts in (change.old, change.new))
    for label in new:
        if label not in old:
            yield f"ALTER TYPE {name} ADD VALUE {quote_literal(label)};"
    gone = [label for label in old if label not in new]
    if gone:
        yield write_comment(f"no longer a label: {', '.join(gone)}")


def _write_function(change: StructureChange) -> Iterator[str]:
    facts = change.new or change.old or {}
    word, name = str(facts.get("form", "function")).upper(), quote_object_of(change.key)
    if change.action is ChangeAction.REMOVED:
        yield f"DROP {word} {name};"
        return
    if change.action is ChangeAction.ADDED:
        yield write_comment(f"CREATE {word} {_sign(change.key, facts)}. {_NO_BODY}")
    elif {"parameters", "returns", "language", "form"} & set(change.differing):
        yield write_comment(f"CREATE OR REPLACE {word} {_sign(change.key, facts)}. {_NO_BODY}")
    elif "body" in change.differing:
        yield write_comment(f"CREATE OR REPLACE {word} {name}: another body. {_NO_BODY}")
    if change.old is not None:
        yield from _alter_function(change, f"ALTER {word} {name}")


def _sign(key: ItemKey, facts: Facts) -> str:
    parts = [f"{quote_ident(key.schema)}.{quote_ident(key.name)}({facts.get('parameters', '')})"]
    if facts.get("returns"):
        parts.append(f"RETURNS {facts['returns']}")
    parts += [f"LANGUAGE {facts.get('language')}", str(facts.get("volatility", "")).upper()]
    return " ".join([*parts, *(["SECURITY DEFINER"] if facts.get("is_definer") else [])])


def _alter_function(change: StructureChange, alter: str) -> Iterator[str]:
    facts = change.new or {}
    if "is_definer" in change.differing:
        yield f"{alter} SECURITY {'DEFINER' if facts.get('is_definer') else 'INVOKER'};"
    if "volatility" in change.differing:
        yield f"{alter} {str(facts.get('volatility')).upper()};"
    yield from _alter_owner(change, alter)
    if "options" in change.differing:
        yield write_comment(f"its settings are now: {', '.join(facts.get('options') or ()) or 'none'}")


def _alter_owner(change: StructureChange, alter: str) -> Iterator[str]:
    """Of a change: whose a new object is, is who made it."""
    owner = (change.new or {}).get("owner")
    if change.old is not None and "owner" in change.differing and owner:
        yield f"{alter} OWNER TO {quote_ident(owner)};"


def _alter_options(change: StructureChange, alter: str) -> Iterator[str]:
    old, new = (list((facts or {}).get("options") or ()) for facts in (change.old, change.new))
    gone = [one.partition("=")[0] for one in old if one not in new]
    gone = [name for name in gone if all(one.partition("=")[0] != name for one in new)]
    pairs = [one.partition("=") for one in new if one not in old]
    if gone:
        yield f"{alter} RESET ({', '.join(map(quote_ident, gone))});"
    if pairs:
        yield f"{alter} SET ({', '.join(f'{quote_ident(name)} = {quote_literal(value)}' for name, _, value in pairs)});"


# Rights ---------------------------------------------------------------------------------------------------


def _write_grant(change: StructureChange) -> Iterator[str]:
    key, role = change.key, quote_role(change.key.role)
    start, on = _find_granted(key)
    had, has = (set((facts or {}).get("rights", ())) for facts in (change.old, change.new))
    could, can = (set((facts or {}).get("grantable", ())) for facts in (change.old, change.new))
    if gone := had - has:
        yield f"{start}REVOKE {_list_rights(gone, key)} ON {on} FROM {role};"
    if lost := (could - can) & has:
        yield f"{start}REVOKE GRANT OPTION FOR {_list_rights(lost, key)} ON {on} FROM {role};"
    if added := has - had - can:
        yield f"{start}GRANT {_list_rights(added, key)} ON {on} TO {role};"
    if given := can - could:
        yield f"{start}GRANT {_list_rights(given, key)} ON {on} TO {role} WITH GRANT OPTION;"


def _find_granted(key: ItemKey) -> tuple[str, str]:
    """How the statement begins, and what it is about."""
    if key.kind is ItemKind.DEFAULT_GRANT:
        where = f" IN SCHEMA {quote_ident(key.schema)}" if key.schema else ""
        return f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote_ident(key.name)}{where} ", key.part.upper()
    word = {"routine": "ROUTINE", "schema": "SCHEMA", "sequence": "SEQUENCE"}.get(key.on, "TABLE")
    return "", f"{word} {quote_object_of(key)}"


def _list_rights(rights: Iterable[str], key: ItemKey) -> str:
    column = f" ({quote_ident(key.part)})" if key.on == "column" else ""
    return ", ".join(f"{right}{column}" for right in sorted(rights))


def _end(definition: str) -> str:
    return definition if definition.rstrip().endswith(";") else f"{definition};"
