"""Which policies of storage.objects open a bucket: to whom, and whether anything limits whose objects. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Policy = Mapping[str, Any]
"""`name`, `command`, `is_permissive`, `roles`, `text`."""
_BUCKETS: Final = re.compile(r"bucket_id = (?:ANY \(ARRAY\[)?'((?:[^']|'')*)'::text|, '((?:[^']|'')*)'::text")
# What a caller has, or what another table says of the caller.
_OF_CALLER: Final = re.compile(r"\bauth\.|\bowner(_id)?\b|current_setting|\bSELECT\b|\bEXISTS\b", re.IGNORECASE)
_CALLS: Final = re.compile(r"([a-z_0-9.]+)\(", re.IGNORECASE)
_OF_PATH: Final = frozenset({"storage.foldername", "storage.filename", "storage.extension", "lower", "ANY", "any"})
_OF_NAME: Final = re.compile(r"\bname\b|storage\.(foldername|filename)")

BUCKETS = """
buckets AS (
  SELECT b.id AS name, b.public AS is_public FROM storage.buckets b
  UNION ALL
  SELECT c.relname::text, ('its row level security hides buckets from this login: ' || c.relname)::int = 0
  FROM pg_class c WHERE c.oid = 'storage.buckets'::regclass AND row_security_active(c.oid)
), objects AS (
  SELECT c.oid, c.relrowsecurity AS has_rls FROM pg_class c WHERE c.oid = 'storage.objects'::regclass
)"""
"""Needs both tables of storage. Where buckets are hidden from the login, the query fails, not silently."""

BUCKET_FACTS = """json_build_object('is_public', b.is_public, 'has_rls', o.has_rls, 'policies', (
  SELECT coalesce(json_agg(json_build_object('name', p.name, 'command', p.command, 'roles', p.roles,
    'is_permissive', p.is_permissive, 'text', coalesce(p.check_text, p.using_text, 'true')) ORDER BY p.name), '[]')
  FROM policies p WHERE p.relation = o.oid AND cardinality(p.roles) > 0))"""


def list_open(policies: Iterable[Policy], bucket: str, command: str, *, ignores_path: bool) -> Sequence[Policy]:
    """The policies for `command` that hold for objects of all users in `bucket`.

    A condition on the path alone counts as a limit unless `ignores_path`. One restrictive policy with a condition
    on the caller closes all of them.
    """
    of_command = [one for one in policies if one["command"] in (command, "all")]
    if any(not one["is_permissive"] and _is_limited(one["text"], ignores_path=ignores_path) for one in of_command):
        return []
    return [
        one
        for one in of_command
        if one["is_permissive"]
        and any(
            _is_about(part, bucket) and not _is_limited(part, ignores_path=ignores_path)
            for part in split_alternatives(one["text"])
        )
    ]


def split_alternatives(text: str) -> list[str]:
    """The parts of a condition that are joined by OR, outermost only."""
    text = text.strip()
    while text.startswith("(") and _find_end(text) == len(text) - 1:
        text = text[1:-1].strip()
    parts, depth, start, is_quoted = [], 0, 0, False
    for place, character in enumerate(text):
        if character == "'":
            is_quoted = not is_quoted
        elif not is_quoted:
            depth += (character == "(") - (character == ")")
            if depth == 0 and text.startswith(" OR ", place):
                parts.append(text[start:place])
                start = place + 4
    return [text] if not parts else [one for part in [*parts, text[start:]] for one in split_alternatives(part)]


def _find_end(text: str) -> int:
    """Where the parenthesis that begins `text` ends."""
    depth, is_quoted = 0, False
    for place, character in enumerate(text):
        if character == "'":
            is_quoted = not is_quoted
        elif not is_quoted:
            depth += (character == "(") - (character == ")")
            if depth == 0:
                return place
    return -1


def _is_about(text: str, bucket: str) -> bool:
    if "bucket_id" not in text:
        return True
    named = {(one or other).replace("''", "'") for one, other in _BUCKETS.findall(text)}
    return bucket in named


def _is_limited(text: str, *, ignores_path: bool) -> bool:
    if text.strip("() ") == "false" or _OF_CALLER.search(text):
        return True
    if any(name not in _OF_PATH for name in _CALLS.findall(text)):
        return True
    return not ignores_path and bool(_OF_NAME.search(text))
