"""The pages of `/docs`: the Markdown files of `docs/`, rendered once in a process, and the search over all of them."""

from basewarden.operations.manual.library import SHELVES, Document, Manual, read_manual
from basewarden.operations.manual.search import SearchEntry, SearchIndex

__all__ = [
    "SHELVES",
    "Document",
    "Manual",
    "SearchEntry",
    "SearchIndex",
    "read_manual",
]
