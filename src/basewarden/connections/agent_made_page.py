"""The page that shows a new token once, with the snippets that have it filled in."""

from datetime import UTC, datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections.agent_words import describe_access
from basewarden.connections.models import Agent
from basewarden.connections.project_tables import ExampleTable
from basewarden.connections.snippets import Snippet, make_snippets
from basewarden.settings import Settings
from basewarden.web import Pages


def show_token(
    request: Request,
    pages: Pages,
    settings: Settings,
    agent: Agent,
    token: str,
    example: ExampleTable | None,
    *,
    is_rotated: bool = False,
) -> Response:
    here = f"/c/{agent.connection_id}/agents"
    return pages.render(
        request,
        "connections/agent_made.html",
        status=HTTPStatus.OK if is_rotated else HTTPStatus.CREATED,
        agent=agent,
        here=here,
        agent_href=f"{here}/{agent.id}",
        token=token,
        access=describe_access(agent),
        snippets=list_snippets(settings, agent, example, token),
        since=int(datetime.now(UTC).timestamp()),
        is_rotated=is_rotated,
    )


def list_snippets(
    settings: Settings, agent: Agent, example: ExampleTable | None, token: str | None = None
) -> list[tuple[str, str, str]]:
    given = {"token": token} if token is not None else {}
    made: list[Snippet] = make_snippets(settings.origin, agent.connection_id, agent, example, **given)
    return [(snippet.key, snippet.label, snippet.code) for snippet in made]
