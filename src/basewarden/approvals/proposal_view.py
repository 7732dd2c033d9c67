"""A proposal as pages show it: who, what in words, and its rows as they are and as they would be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from basewarden.connections import Membership
from basewarden.core.brief import make_brief
from basewarden.db import ReadSession
from basewarden.journal import (
    JournalMutation,
    RowNames,
    ShownMutation,
    VerbCount,
    describe_uncaptured,
    describe_write,
    list_figures,
    name_mutations,
    shorten_request,
    show_mutation,
)
from basewarden.proposals import Proposal, ProposalDetail, ProposalStatus, find_proposal, find_proposal_status

ROWS_PER_PAGE = 100
MAX_BODY_SHOWN = 20_000
MAX_REQUEST = 80
ROWS_IN_LIST = 3
MOST_ROWS_READ = 200
"""All rows of a proposal are stored as one value, which is read whole."""


@dataclass(frozen=True, slots=True)
class ProposalLine:
    """A proposal in a list; `decided_by` is the name of who decided, "" where it was not decided.

    `first_rows` are some of its rows, of which `more_rows` are not listed; there are none of large ones.
    """

    id: UUID
    title: str
    agent_id: UUID
    agent_name: str
    label: str | None
    status: ProposalStatus
    request: str
    rows: int
    created_at: datetime
    expires_at: datetime
    decided_by: str = ""
    decided_by_id: UUID | None = None
    first_rows: tuple[ShownMutation, ...] = ()

    @property
    def is_pending(self) -> bool:
        return self.status == "pending"

    @property
    def more_rows(self) -> int:
        return max(0, self.rows - len(self.first_rows))


@dataclass(frozen=True, slots=True)
class ShownProposal:
    """One page of a proposal; `tables` are the name of a table and rows of it. `body` is "" where there is none.

    `after_reading` are tables whose rows strangers may have written, which the agent had read.
    `is_computed`: the new values follow from the request and were not tried. One that is executing is pending, too.
    `first` counts from 0.
    """

    line: ProposalLine
    tables: tuple[tuple[str, tuple[ShownMutation, ...]], ...]
    figures: list[tuple[str, str, str]]
    first: int
    count: int
    uncaptured: tuple[str, ...]
    after_reading: tuple[str, ...]
    is_computed: bool
    is_executing: bool
    request: str
    body: str
    decided_at: datetime | None
    reason: str | None
    failure: str | None
    session_id: UUID | None
    write_id: UUID | None

    @property
    def end(self) -> int:
        return self.first + sum(len(rows) for _, rows in self.tables)

    @property
    def is_part(self) -> bool:
        return self.end - self.first < self.count

    @property
    def range_text(self) -> str:
        return f"{self.first + 1:,} to {self.end:,} of {self.count:,}"


def show_line(proposal: Proposal) -> ProposalLine:
    return ProposalLine(
        id=proposal.id,
        title=describe_proposal(proposal),
        agent_id=proposal.agent_id,
        agent_name=proposal.agent_name,
        label=proposal.label,
        status=find_proposal_status(proposal, datetime.now(UTC)),
        request=make_brief(shorten_request(proposal.summary), MAX_REQUEST),
        rows=proposal.row_count,
        created_at=proposal.created_at,
        expires_at=proposal.expires_at,
        decided_by=proposal.decided_name or "",
        decided_by_id=proposal.decided_by,
    )


async def show_lines(
    db: ReadSession, proposals: Sequence[Proposal], member: Membership, names: RowNames
) -> list[ProposalLine]:
    """With the first rows of those that wait, so that a list says what each would do."""
    lines = []
    for proposal in proposals:
        line = show_line(proposal)
        if line.is_pending and line.rows <= MOST_ROWS_READ:
            found = await find_proposal(db, proposal.connection_id, str(proposal.id))
            rows = [_show_row(proposal, row) for row in found.rows[:ROWS_IN_LIST]]
            line = replace(line, first_rows=tuple(await name_mutations(rows, member, names)))
        lines.append(line)
    return lines


def describe_proposal(proposal: Proposal) -> str:
    """Returns "Change 5 prices": what approving it does."""
    return describe_write(proposal.verb, proposal.table, list_counts(proposal), is_planned=True)


def list_counts(proposal: Proposal) -> list[VerbCount]:
    return [
        VerbCount(item["verb"], item["schema"], item["table"], item["rows"], item["cascade"])
        for item in proposal.change_counts
    ]


async def show_proposal(found: ProposalDetail, member: Membership, names: RowNames, first: int = 0) -> ShownProposal:
    """Shows the rows from number `first` on, which counts from 0."""
    proposal, rows = found.proposal, found.rows
    first = min(first, max(0, len(rows) - 1))
    part = rows[first : first + ROWS_PER_PAGE]
    shown = await name_mutations([_show_row(proposal, row) for row in part], member, names)
    return ShownProposal(
        line=show_line(proposal),
        tables=_group_by_table(part, shown),
        figures=list_figures(list_counts(proposal)),
        first=first,
        count=len(rows),
        uncaptured=tuple(describe_uncaptured(item) for item in proposal.uncaptured),
        after_reading=tuple(table.removeprefix("public.") for table in proposal.after_reading),
        is_computed=proposal.is_computed,
        is_executing=proposal.status == "executing",
        request=shorten_request(proposal.summary),
        body=_show_body(proposal.body),
        decided_at=proposal.decided_at,
        reason=proposal.reason,
        failure=proposal.failure,
        session_id=proposal.session_id,
        write_id=proposal.write_id,
    )


def _show_row(proposal: Proposal, row: JournalMutation) -> ShownMutation:
    """A row that does not exist yet has no page."""
    shown = show_mutation(row, "committed", proposal.connection_id)
    return replace(shown, href=None) if row.verb == "insert" and proposal.status != "executed" else shown


def _group_by_table(
    rows: Sequence[JournalMutation], shown: Sequence[ShownMutation]
) -> tuple[tuple[str, tuple[ShownMutation, ...]], ...]:
    """Groups rows by the table's name, in the order in which the tables come first."""
    grouped: dict[str, list[ShownMutation]] = {}
    for row, one in zip(rows, shown, strict=True):
        name = row.table if row.schema == "public" else f"{row.schema}.{row.table}"
        grouped.setdefault(name, []).append(one)
    return tuple((name, tuple(group)) for name, group in grouped.items())


def _show_body(body: bytes) -> str:
    text = body.decode(errors="replace")
    return text if len(text) <= MAX_BODY_SHOWN else f"{text[:MAX_BODY_SHOWN]}\u2026"
