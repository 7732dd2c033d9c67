"""The introduction to the reference, which is not part of the OpenAPI document."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Chapter:
    """`code` follows the paragraphs. Text between backquotes is code as well."""

    key: str
    title: str
    paragraphs: tuple[str, ...]
    code: str = ""


INTRODUCTION: Final = (
    Chapter(
        "start",
        "A first request",
        (
            (
                "An agent's token reads and writes the tables of its connection, in the words of PostgREST. The page "
                "of a new agent has this request with its own address. What it changes is a session on the "
                "connection's page, and can be undone there."
            ),
        ),
        (
            'curl "http://localhost:8000/api/v/<connection>/rest/v1/products?select=id,name&limit=3" \\\n'
            '  -H "apikey: $BASEWARDEN_TOKEN"'
        ),
    ),
    Chapter(
        "authentication",
        "Authentication",
        (
            (
                "A person is authenticated by the session cookie that signing in sets: `authjs.session-token`, on "
                "an https origin `__Secure-authjs.session-token`. A script may send it too. With two-factor sign-in "
                "the cookie opens nothing but `/api/account/2fa/verify` and signing out until the second factor is "
                "verified: everything else answers 401 `mfa_required`. What a stolen cookie must not do needs a "
                "recent sign-in: without one the answer is 403 `reauth_required`, and `/api/account/reauth` renews "
                "it."
            ),
            (
                "An agent sends its token as `Authorization: Bearer` or `apikey`. A token opens the data of its own "
                "connection and nothing else. A request with a bad credential is refused even where another "
                "credential in it would do."
            ),
            (
                "A request that changes something and carries an `Origin` header of another site is refused with "
                "403 `forbidden`. The id of something that you may not see is unknown to you: 404."
            ),
        ),
    ),
    Chapter(
        "errors",
        "Errors",
        (
            (
                "Every error of every operation is one JSON object, and the request's id is in the header "
                "`x-request-id`. Rely on the status and on `code`; `message` and `hint` are for people, and "
                "`details` depends on the code. 429 carries `Retry-After` in seconds."
            ),
            (
                "These errors can come from any operation that they fit, and the reference names them by their code "
                "alone: 400 `bad_request` (the request cannot be understood), 400 `bad_json` (the body is not "
                "JSON), 401 `unauthenticated` (no credential, or a bad one), 401 `mfa_required`, 403 `forbidden`, "
                "403 `two_factor_required` (the connection requires two-factor authentication of its members), "
                "404 `not_found`, 413 `too_large` (a body of more than 16 MiB), 422 `validation_failed` (`details` "
                "has a sentence for each field), 503 `unavailable` (the deployment's database cannot be reached). A "
                "fault of the product is 500 `internal`."
            ),
        ),
        (
            "{\n"
            '  "code": "row_limit",\n'
            '  "message": "…",\n'
            '  "details": {"limit": 500},\n'
            '  "hint": "Narrow the filter, …"\n'
            "}"
        ),
    ),
    Chapter(
        "paging",
        "Paging",
        (
            (
                "A list that can be long takes `limit`, and answers with `nextCursor`: send it as `cursor` to get "
                "the next page. It is null on the last page. The row changes of a long session come in pages too: "
                "send `nextAfter` as `after`."
            ),
        ),
    ),
    Chapter(
        "data",
        "A connection's data",
        (
            (
                "The tables of a connection are at `/api/v/<connection>/rest/v1`, in PostgREST's contract: filters, "
                "embedding, `Prefer` and the rest are as PostgREST describes them, and the clients of Supabase work "
                "as they are. The root of that address describes the tables and functions that the caller reaches, "
                "in OpenAPI 2."
            ),
            (
                "A write is recorded before it is committed. Its answer carries `x-basewarden-session`; send that "
                "header with a name of your own to keep writes together in one session. What PostgreSQL or "
                "PostgREST refuse keeps their own codes; the errors below are those of Basewarden. Four more are "
                "limits on what a project's database may make others wait for: 413 `answer_too_large`, 429 "
                "`too_many_running`, 503 `memory_busy`, 504 `query_timeout`."
            ),
        ),
        (
            'import { createClient } from "@supabase/supabase-js"\n'
            "\n"
            'const db = createClient("<origin>/api/v/<connection>", "<token>")\n'
            'await db.from("products").update({ price: 12.5 }).eq("id", 7)'
        ),
    ),
    Chapter(
        "stability",
        "What is stable",
        (
            (
                "An operation that is marked stable changes only with a major version. The others may gain members "
                "in their answers at any time."
            ),
        ),
    ),
)
