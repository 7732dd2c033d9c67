"""Lists the documents of `/docs`, in their order, with the places of their files."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final

from basewarden.web import Rendering, render_markdown

_CHECKOUT: Final = Path(__file__).parents[4] / "docs"
_INSTALLED: Final = Path(__file__).parent / "documents"
"""The folder of the files in a wheel; `setup.py` copies them there."""
EXAMPLE_ORIGIN: Final = "http://localhost:8000"
"""The address in the files' examples; a deployment shows its own instead."""


@dataclass(frozen=True, slots=True)
class Document:
    """One page of `/docs`. `file` is the Markdown file below `docs/`; the API reference has none."""

    slug: str
    title: str
    summary: str
    file: str = ""

    @property
    def href(self) -> str:
        return f"/docs/{self.slug}"


@dataclass(frozen=True, slots=True)
class Shelf:
    title: str
    documents: tuple[Document, ...]


SHELVES: Final = (
    Shelf(
        "Use Basewarden",
        (
            Document("guide", "Guide", "From a clone to your first undo: the demo, a database, an agent.", "guide.md"),
            Document("agents", "Agents", "What an agent may see and do, how much, and how to stop it.", "agents.md"),
            Document("approvals", "Proposals and approval", "Writes of agents that wait for a person.", "approvals.md"),
            Document(
                "sentry", "Sentry", "Finds what strangers can reach in your database, and proves it.", "sentry.md"
            ),
        ),
    ),
    Shelf(
        "Run it yourself",
        (
            Document("operating", "Operating", "Settings, health check, backup, upgrade, keys.", "operating.md"),
            Document("monitoring", "Monitoring", "Health endpoints, metrics and alerts.", "monitoring.md"),
            Document("rest", "PostgREST server", "Serve one Postgres in PostgREST's place.", "rest.md"),
            Document(
                "alerts", "Alerts and webhooks", "Messages about events, and how a receiver checks them.", "alerts.md"
            ),
        ),
    ),
    Shelf(
        "Reference",
        (
            Document("api", "HTTP API", "Every endpoint with its parameters, responses and examples."),
            Document("settings", "Settings", "Every environment variable and its default.", "reference/settings.md"),
            Document("errors", "Errors", "Each error code: what happened, and what to do.", "reference/errors.md"),
            Document("limits", "Limits", "What is bounded, and what happens beyond it.", "reference/budgets.md"),
        ),
    ),
    Shelf(
        "How it is built",
        (
            Document("security", "Account security", "Each statement, and the test that shows it.", "security.md"),
            Document("billing", "Billing", "Plans, checkout, and what the payment provider sends.", "billing.md"),
            Document("routes", "Routes", "Every route, and who may call it.", "reference/routes.md"),
            Document("architecture", "Architecture", "The parts, in the order a request takes.", "architecture.md"),
        ),
    ),
)


INTERNAL_SHELF: Final = SHELVES[-1]
"""About the code rather than its use."""


@dataclass(frozen=True, slots=True)
class ManualPage:
    document: Document
    rendering: Rendering


class Manual:
    """The rendered documents by slug."""

    def __init__(self, pages: tuple[ManualPage, ...]) -> None:
        self.pages = pages

    @cached_property
    def by_slug(self) -> dict[str, ManualPage]:
        return {page.document.slug: page for page in self.pages}


def read_manual(origin: str) -> Manual:
    """Reads and renders every document; the examples show `origin`."""
    folder = find_documents()
    links = {document.file: document.href for document in list_documents() if document.file}
    pages = []
    for document in list_documents():
        if document.file:
            text = (folder / document.file).read_text(encoding="utf-8").replace(EXAMPLE_ORIGIN, origin)
            at = PurePosixPath(document.file).parent
            pages.append(ManualPage(document, render_markdown(text, at, links)))
    return Manual(tuple(pages))


def list_documents() -> Iterator[Document]:
    for shelf in SHELVES:
        yield from shelf.documents


def find_documents() -> Path:
    """Returns the folder `docs/` of the checkout, otherwise the copy in the installed package."""
    return _CHECKOUT if (_CHECKOUT / "guide.md").exists() else _INSTALLED
