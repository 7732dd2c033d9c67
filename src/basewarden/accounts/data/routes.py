"""JSON: exporting one's data and deleting the account."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.data.deletion import Deletions
from basewarden.accounts.data.export import Export
from basewarden.accounts.errors import BadPassword, OAuthOnly, ReauthRequired, SoleOwner
from basewarden.accounts.password.routes import AccountsDep
from basewarden.accounts.password.schemas import SentPassword
from basewarden.accounts.signin.callers import FreshlySignedIn, SignedIn
from basewarden.accounts.signin.sessions import Person
from basewarden.audit import ClientInfo, EventKind
from basewarden.core.secret import Secret
from basewarden.core.tasks import end_task
from basewarden.errors import BadJSON, Forbidden, Invalid, TooLarge, TooMany
from basewarden.web import JSON_TYPE, STABLE, Writing, answer_with, declare, inject

router = APIRouter(prefix="/api/account", tags=["account"])

ExportDep = Annotated[Export, Depends(inject(Export))]
DeletionsDep = Annotated[Deletions, Depends(inject(Deletions))]

_EXAMPLE = {
    "format": 1,
    "exportedAt": "2026-11-27T14:02:11Z",
    "user": [{"email": "ada@example.com", "name": "Ada"}],
    "leftOut": {},
}
MAX_SECONDS = 30 * 60.0  # a snapshot holds back VACUUM in our database
STALL_SECONDS = 60.0  # a client that reads nothing for so long has disconnected
_log = structlog.get_logger()


class DeleteAccount(BaseModel):
    """A fresh sign-in is enough; a password that is sent along must be right."""

    model_config = ConfigDict(extra="forbid")

    password: SentPassword | None = None


class DeletionOut(BaseModel):
    deletionDueAt: datetime | None  # noqa: N815 - the contract's spelling


class ExportResponse(Response):
    """A stream that either ends as valid JSON or is aborted, so that a part of the data is not taken for all of it."""

    media_type = JSON_TYPE

    def __init__(
        self,
        file: AbstractAsyncContextManager[AsyncGenerator[bytes, None]],
        *,
        max_seconds: float = MAX_SECONDS,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        name = f"basewarden-export-{datetime.now(UTC):%Y-%m-%d}.json"
        super().__init__(headers={"content-disposition": f'attachment; filename="{name}"'})
        del self.headers["content-length"]
        self._file = file
        self._max_seconds = max_seconds
        self._stall_seconds = stall_seconds

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        """A refused export raises here, before the first byte. The database connection is released in any case."""
        try:
            async with asyncio.timeout(self._max_seconds), self._file as pieces, _watch(receive) as gone:
                await self._send(pieces, gone, send)
        except TimeoutError:
            _log.warning("export.cut_off")

    async def _send(self, pieces: AsyncGenerator[bytes, None], gone: asyncio.Event, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for piece in pieces:
            if gone.is_set():
                return
            async with asyncio.timeout(self._stall_seconds):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def _watch(receive: Any) -> AsyncIterator[asyncio.Event]:
    """Set when the client has disconnected; the server silently drops what is sent after that."""
    gone = asyncio.Event()

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    task = asyncio.create_task(wait(), name="export-reader")
    try:
        yield gone
    finally:
        await end_task(task)


def respond_with_export(export: Export, person: Person, client_info: ClientInfo) -> ExportResponse:
    return ExportResponse(export.open(person, client_info))


@router.get(
    "/export",
    response_class=Response,
    responses={
        HTTPStatus.OK: {
            "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}},
            "description": "The file.",
        },
        **declare(ReauthRequired, TooMany),
    },
    summary="Returns everything that is stored about you, as one JSON file.",
    openapi_extra=STABLE,
)
async def get_export(person: FreshlySignedIn, export: ExportDep, client_info: ClientInfoDep) -> Response:
    """It holds no secret, no hash and no data of other people."""
    return respond_with_export(export, person, client_info)


@router.post(
    "/delete",
    responses=declare(
        Forbidden,
        ReauthRequired,
        SoleOwner,
        OAuthOnly,
        BadPassword,
        BadJSON,
        Invalid,
        TooLarge,
        TooMany,
    ),
    summary="Schedules the deletion of your account in thirty days.",
)
async def post_delete(
    *,
    person: FreshlySignedIn,
    session: Writing,
    deletions: DeletionsDep,
    accounts: AccountsDep,
    client_info: ClientInfoDep,
    body: DeleteAccount | None = None,
) -> DeletionOut:
    """A password that is sent must be right. A second request does not move the day."""
    if body is not None and body.password is not None:
        password = Secret(body.password.get_secret_value())
        await accounts.confirm_password(person, password, client_info, failure=EventKind.DELETION_FAILED)
    return DeletionOut(deletionDueAt=await deletions.schedule(session, person, client_info))


@router.post(
    "/delete/cancel",
    responses={**answer_with(DeletionOut, deletionDueAt=None), **declare(Forbidden)},
    summary="Cancels the deletion of your account.",
)
async def post_cancel(
    person: SignedIn, session: Writing, deletions: DeletionsDep, client_info: ClientInfoDep
) -> DeletionOut:
    await deletions.cancel(session, person, client_info)
    return DeletionOut(deletionDueAt=None)
