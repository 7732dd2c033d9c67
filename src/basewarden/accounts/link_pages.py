"""What the pages behind the links of emails share.

Mail scanners open links too, so opening a page does not use the link up; its button does.
"""

from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts.errors import LinkExpired, LinkUsed
from basewarden.errors import AppError, NotFound
from basewarden.web import Pages

# The token is in the path: no request that this page makes carries more than our origin. `no-referrer` would say less,
# and would also have browsers send the form with `Origin: null`, which is refused.
_REFERRER_POLICY = {"referrer-policy": "strict-origin"}
BAD_LINK = (NotFound, LinkUsed, LinkExpired)
_BAD_LINK_TITLES = {
    NotFound: "This link is not valid",
    LinkUsed: "This link was already used",
    LinkExpired: "This link has expired",
}
_BAD_LINK_TEXTS = {
    NotFound: "Part of it may be missing. Copy the whole link from the email, or request a new one.",
    LinkUsed: "A link works once.",
    LinkExpired: "A link works for a few hours, and a newer one replaces it.",
}


def show_bad_link(request: Request, pages: Pages, error: AppError, again: tuple[str, str]) -> Response:
    """`again` is the label and the path of the page where a new link can be requested."""
    text, href = again
    return keep_token(
        pages.render(
            request,
            "accounts/bad_link.html",
            status=error.status,
            title=_BAD_LINK_TITLES[type(error)],
            message=_BAD_LINK_TEXTS[type(error)],
            again_text=text,
            again_href=href,
        )
    )


def keep_token(response: Response) -> Response:
    response.headers.update(_REFERRER_POLICY)
    return response
