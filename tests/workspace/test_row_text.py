"""Rows as text for other programs."""

import json

from basewarden.workspace.row_text import ROW_FORMATS
from pgrest import Column


def test_values_that_are_nested_deep_do_not_grow() -> None:
    columns = [
        Column("id", 23, "integer", "integer", "N", nullable=False),
        Column("doc", 3802, "jsonb", "jsonb", "U", nullable=True),
    ]
    deep = "[" * 5000 + "]" * 5000
    written = ROW_FORMATS["json"].write(("public", "t"), columns, [["1", deep], ["2", '{"a": [1, 2]}'], ["3", None]])
    assert len(written) < len(deep) + 200
    assert json.loads("".join(line for line in written.splitlines() if deep not in line)) == [
        {"id": 2, "doc": {"a": [1, 2]}},
        {"id": 3, "doc": None},
    ]


def test_rows_are_copied_as_one_statement() -> None:
    columns = [
        Column("id", 20, "bigint", "int8", "N", nullable=False, identity="a"),
        Column("odd name", 25, "text", "text", "S", nullable=True),
        Column("doubled", 23, "integer", "int4", "N", nullable=True, generated=True),
    ]
    written = ROW_FORMATS["insert"].write(("public", "lamps"), columns, [["1", "it's \\n", "2"], ["2", None, "4"]])
    assert written == (
        'INSERT INTO "public"."lamps" ("id", "odd name") OVERRIDING SYSTEM VALUE VALUES\n'
        "  ('1', 'it''s \\n'),\n"
        "  ('2', NULL);\n"
    )
