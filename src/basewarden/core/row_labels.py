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
LONGEST_CODE = 8
NAMES_JOIN = " · "
"""Between the names of a row that has several."""
_LABEL_ENDINGS = ("_name", "_title", "_code", "_number")


def find_label(row: Mapping[str, object], key_columns: Sequence[str] = (), *, is_certain: bool = False) -> str | None:
    """Returns the row's name or the like as a brief; None where it has none, or only in its key.

    `is_certain`: only by a column whose whole name says so; a "postal_code" may be a label, but rarely of its row.
    """
    named = () if is_certain else (column for column in row if column.endswith(_LABEL_ENDINGS))
    for column in (*LABEL_NAMES, *named):
        value = row.get(column)
        if column not in key_columns and isinstance(value, str | int) and not isinstance(value, bool):
            label = make_brief(str(value))
            if label:
                return label
    return None


def describe_references(row: Mapping[str, object], key_columns: Sequence[str] = ()) -> str | None:
    """Returns "product 3 · EUR": what a row without a label refers to by a number, and its first short code."""
    values = [(column, value) for column, value in row.items() if column not in key_columns]
    named = [
        f"{column.removesuffix('_id')} {value}"
        for column, value in values
        if column.endswith("_id") and not isinstance(value, bool) and str(value).isdigit()
    ]
    codes = [value for _, value in values if isinstance(value, str) and value.isalpha() and len(value) <= LONGEST_CODE]
    return make_brief(NAMES_JOIN.join([*named[:1], *codes[:1]])) if named else None
