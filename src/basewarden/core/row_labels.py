"""Which column of a row is its label for people."""

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
