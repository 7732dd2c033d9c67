"""What is said of one endpoint. What is sent ends in `?` where it may be left out."""

from dataclasses import dataclass, field

from basewarden.web import CallerKind

WHO = {
    CallerKind.ANYONE: "anyone",
    CallerKind.PERSON: "a person, signed in",
    CallerKind.MEMBER: "a member of the connection",
    CallerKind.AGENT: "an agent with its token, or a member of the connection",
    CallerKind.SCHEDULER: "a scheduler with CRON_SECRET",
    CallerKind.PROVIDER: "the payment provider, by its signature",
}


@dataclass(frozen=True)
class Answer:
    """A success has the names of its `fields`, a refusal its `code`; either may say more in `words`."""

    status: int
    code: str = ""
    fields: tuple[str, ...] = ()
    words: str = ""


@dataclass(frozen=True)
class Endpoint:
    method: str
    path: str
    caller: CallerKind
    words: str
    answers: tuple[Answer, ...]
    body: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    is_stable: bool = False

    @property
    def who(self) -> str:
        return WHO[self.caller]

    @property
    def anchor(self) -> str:
        kept = "".join(one if one.isalnum() else "-" for one in f"{self.method}{self.path}".lower())
        return "-".join(part for part in kept.split("-") if part)


@dataclass(frozen=True)
class Group:
    """`in_document` is False for what goes round the framework: the OpenAPI document does not know it."""

    key: str
    title: str
    words: str
    endpoints: tuple[Endpoint, ...]
    in_document: bool = field(default=True)


def ok(fields: str = "", words: str = "", status: int = 200) -> Answer:
    return Answer(status, fields=_split(fields), words=words)


def no(status: int, code: str, words: str = "") -> Answer:
    return Answer(status, code=code, words=words)


def call(  # a line of the contract: what it is first, then what comes back
    method: str,
    path: str,
    caller: CallerKind,
    words: str,
    *answers: Answer,
    body: str = "",
    query: str = "",
    stable: bool = False,
) -> Endpoint:
    return Endpoint(method, path, caller, words, answers, _split(body), _split(query), stable)


def _split(names: str) -> tuple[str, ...]:
    return tuple(names.replace(",", " ").split())


COMMON = (
    no(400, "bad_request", "the request cannot be understood"),
    no(400, "bad_json", "the body is not JSON"),
    no(401, "unauthenticated", "no credential, or a bad one, even where another one would do"),
    no(401, "mfa_required", "the second factor is still missing"),
    no(403, "forbidden", "the Origin header is another site's"),
    no(404, "not_found", "an id in the address is unknown, or somebody else's"),
    no(413, "too_large", "more than 16 MiB"),
    no(422, "validation_failed", "fields do not fit; details names each"),
    no(500, "internal", "a fault of ours; details has the request's id"),
    no(503, "unavailable", "our database is away"),
)
"""Not repeated at each endpoint."""
