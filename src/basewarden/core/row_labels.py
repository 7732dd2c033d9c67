"""What people call a row, by its values alone. `gateway/row_labels.py` chooses by the table's description."""

from collections.abc import Mapping, Sequence

from basewarden.core.brief import make_brief

LABEL_NAMES = (
    "name",
    "full_name",
    "display_name",
    "title",
    "label",
    "subject",
    "email",
    "number",
    "sku",
    "code",
    "slug",
)
"""The names of columns that are labels, the best first."""
_LABEL_ENDINGS = ("_name", "_title", "_code", "_number")


def find_label(row: Mapping[str, object], key_columns: Sequence[str] = ()) -> str | None:
    """Returns the row's name or the like as a brief; None where it has none, or only in its key."""
    named = (column for column in row if column.endswith(_LABEL_ENDINGS))
    for column in (*LABEL_NAMES, *named):
        value = row.get(column)
        if column not in key_columns and isinstance(value, str | int) and not isinstance(value, bool):
            label = make_brief(str(value))
            if label:
                return label
    return None
