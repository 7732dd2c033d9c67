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
    written = ROW_FORMATS["json"].write(columns, [["1", deep], ["2", '{"a": [1, 2]}'], ["3", None]])
    assert len(written) < len(deep) + 200
    assert json.loads("".join(line for line in written.splitlines() if deep not in line)) == [
        {"id": 2, "doc": {"a": [1, 2]}},
        {"id": 3, "doc": None},
    ]
