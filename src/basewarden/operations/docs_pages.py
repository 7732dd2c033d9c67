"""`/docs`: the documents, the API reference, and the search over all of them."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import Visitor
from basewarden.errors import NotFound
from basewarden.gateway import DATA_ERRORS
from basewarden.operations.api import INTRODUCTION, list_data_errors, read_reference
from basewarden.operations.api.introduction import Chapter
from basewarden.operations.api.reference import ApiGroup, ApiOperation
from basewarden.operations.manual import SHELVES, Document, Manual, SearchEntry, SearchIndex, read_manual
from basewarden.operations.manual.library import EXAMPLE_ORIGIN, INTERNAL_SHELF, list_documents
from basewarden.web import Pages, PagesDep, SettingsDep, anyone, highlight

router = APIRouter(prefix="/docs", include_in_schema=False, dependencies=[Depends(anyone)])
_API = "/docs/api"
_INSTANT_RESULTS = 8
_RESULTS = 40


@router.get("")
async def get_docs(request: Request, _: Visitor, pages: PagesDep) -> Response:
    return _render(pages, request, "operations/docs.html")


@router.get("/search")
async def get_search(request: Request, _: Visitor, pages: PagesDep, settings: SettingsDep, q: str = "") -> Response:
    """Renders the whole page, or only the list of results for the search field."""
    index = await asyncio.to_thread(_build_index, request.app, settings.origin)
    if "hx-request" in request.headers:
        return pages.render(request, "operations/docs_found.html", query=q, results=index.find(q, _INSTANT_RESULTS))
    return _render(pages, request, "operations/docs_search.html", query=q, results=index.find(q, _RESULTS))


@router.get("/api")
async def get_api(request: Request, _: Visitor, pages: PagesDep, settings: SettingsDep) -> Response:
    return _render(
        pages,
        request,
        "operations/api.html",
        document=_find_document("api"),
        groups=await asyncio.to_thread(_read_groups, request.app, settings.origin),
        chapters=[_with_origin(chapter, settings.origin) for chapter in INTRODUCTION],
        data_errors=list_data_errors(DATA_ERRORS),
        origin=settings.origin,
    )


@router.get("/api/{group}")
async def get_api_group(request: Request, _: Visitor, group: str, pages: PagesDep, settings: SettingsDep) -> Response:
    groups = await asyncio.to_thread(_read_groups, request.app, settings.origin)
    keys = [one.key for one in groups]
    if group not in keys:
        raise NotFound
    at = keys.index(group)
    return _render(
        pages,
        request,
        "operations/api_group.html",
        document=_find_document("api"),
        groups=groups,
        group=groups[at],
        group_before=groups[at - 1] if at else None,
        group_after=groups[at + 1] if at + 1 < len(groups) else None,
    )


@router.get("/{slug}")
async def get_document(request: Request, _: Visitor, slug: str, pages: PagesDep, settings: SettingsDep) -> Response:
    manual = await asyncio.to_thread(_read_manual, settings.origin)
    if slug not in manual.by_slug:
        raise NotFound
    page = manual.by_slug[slug]
    return _render(pages, request, "operations/document.html", document=page.document, text=page.rendering)


def _render(pages: Pages, request: Request, template: str, **context: Any) -> Response:
    """Renders a page with the frame that all pages of the docs share."""
    document = context.pop("document", None)
    documents = list(list_documents())
    at = documents.index(document) if document else 0
    frame = {
        "shelves": SHELVES,
        "document": document,
        "document_before": documents[at - 1] if document and at else None,
        "document_after": documents[at + 1] if document and at + 1 < len(documents) else None,
        "groups": (),
        "group": None,
        "query": "",
        "mark_code": mark_code,
        "highlight_example": highlight_example,
    }
    return pages.render(request, template, **{**frame, **context})


def _find_document(slug: str) -> Document:
    return next(document for document in list_documents() if document.slug == slug)


def _with_origin(chapter: Chapter, origin: str) -> Chapter:
    return replace(chapter, code=chapter.code.replace(EXAMPLE_ORIGIN, origin))


@cache
def _read_groups(app: FastAPI, origin: str) -> tuple[ApiGroup, ...]:
    """Cached, because the document does not change while the process runs."""
    return read_reference(app.openapi(), origin)


@cache
def _read_manual(origin: str) -> Manual:
    return read_manual(origin)


@cache
def _build_index(app: FastAPI, origin: str) -> SearchIndex:
    return SearchIndex([*_list_text(_read_manual(origin)), *_list_operations(_read_groups(app, origin))])


def _list_text(manual: Manual) -> Iterator[SearchEntry]:
    for page in manual.pages:
        document = page.document
        for section in page.rendering.sections:
            if section.is_name and document in INTERNAL_SHELF.documents and section.title.startswith("/"):
                continue  # a route, which the API reference has with what it does
            anchor = f"#{section.slug}" if section.slug else ""
            yield SearchEntry(
                document.href + anchor,
                document.title,
                section.title or document.title,
                section.text,
                within=section.within,
                is_name=section.is_name,
                is_internal=document in INTERNAL_SHELF.documents,
            )


def _list_operations(groups: tuple[ApiGroup, ...]) -> Iterator[SearchEntry]:
    for chapter in INTRODUCTION:
        text = "\n".join(chapter.paragraphs).replace("`", "")
        yield SearchEntry(f"{_API}#{chapter.key}", "HTTP API", chapter.title, text)
    for group in groups:
        for one in group.operations:
            href = f"{_API}/{group.key}#{one.anchor}"
            yield SearchEntry(
                href, "HTTP API", one.path, _describe(one), within=group.title, method=one.method, is_name=True
            )


def _describe(one: ApiOperation) -> str:
    names = (field.name for field in (*one.parameters, *one.body))
    codes = (error.code for error in one.errors)
    text = f"{one.summary} {one.description}\n{' · '.join(dict.fromkeys((*names, *codes)))}"
    return text.replace("`", "").strip()


@cache
def highlight_example(code: str, language: str) -> Markup:
    """Cached only for the examples of the reference, one for each operation."""
    return highlight(code, language)


def mark_code(text: str) -> Markup:
    """Renders text between backquotes as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(one) if at % 2 else escape(one) for at, one in enumerate(parts)
    )
