"""Reads in the journal what waiting events are about, and says it in words.

A message leaves this deployment, so it holds no value of a row. It holds no label either: agents choose the labels of
their sessions, and a text of an agent's choice in an email of ours could be an attack. Nor does it name a table that an
agent has asked for with more than a word.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.alerts import queries
from basewarden.alerts.events import AlertEventName
from basewarden.alerts.models import WaitingEvent
from basewarden.approvals import describe_proposal
from basewarden.core.brief import make_brief
from basewarden.journal import JournalRefusal, SessionSummary, describe_refused, explain_refusal, summarise_sessions
from basewarden.proposals import Proposal, list_proposals_by_id
from basewarden.sentry import (
    SchemaVersion,
    SentryFinding,
    describe_version,
    list_findings_by_id,
    list_versions_by_id,
)
from basewarden.undo import decode_receipt
from basewarden.web import count_things

_FREEZE_WORDS = {"budget": "it has used up its budget", "member": "a member has frozen it"}


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that happened: in words, as facts, and the path of its page below the connection's."""

    text: str
    path: str
    facts: Mapping[str, Any]


ReadSubjects = Callable[[AsyncSession, Sequence[WaitingEvent]], Awaitable[list[Subject]]]


async def read_subjects(session: AsyncSession, event: AlertEventName, waiting: Sequence[WaitingEvent]) -> list[Subject]:
    """Reads them in the order of the events; what was pruned since is left out."""
    return await _READERS[event](session, waiting)


async def _read_frozen(session: AsyncSession, waiting: Sequence[WaitingEvent]) -> list[Subject]:
    found = await _summarise(session, waiting)
    return [_describe_frozen(one, found[one.subject_id]) for one in waiting if one.subject_id in found]


def _describe_frozen(waiting: WaitingEvent, found: SessionSummary) -> Subject:
    caller = make_brief(found.session.caller_name)
    why = _FREEZE_WORDS.get(waiting.reason or "", "it was stopped")
    return Subject(
        f"{caller}: {found.heading}. Frozen, because {why}.",
        f"/sessions/{waiting.subject_id}",
        {
            "sessionId": str(waiting.subject_id),
            "agentId": str(found.session.agent_id) if found.session.agent_id else None,
            "caller": caller,
            "reason": waiting.reason,
            "summary": found.heading,
        },
    )


async def _read_refused(session: AsyncSession, waiting: Sequence[WaitingEvent]) -> list[Subject]:
    found = {one.id: one for one in await queries.list_refusals_by_id(session, _list_ids(waiting))}
    return [_describe_refusal(one, found[one.subject_id]) for one in waiting if one.subject_id in found]


def _describe_refusal(waiting: WaitingEvent, refusal: JournalRefusal) -> Subject:
    agent, what = make_brief(refusal.agent_name), describe_refused(refusal, is_message=True)
    times = f" ({count_things(waiting.count, 'time')})" if waiting.count > 1 else ""
    reason = explain_refusal(refusal)
    return Subject(
        f"{agent}: {what}{times}. Blocked, because {reason}.",
        f"/refusals?agent={refusal.agent_id}",
        {
            "agentId": str(refusal.agent_id),
            "agent": agent,
            "code": refusal.code,
            "summary": what,
            "count": waiting.count,
            "sessionId": str(refusal.session_id) if refusal.session_id else None,
        },
    )


async def _read_undos(session: AsyncSession, waiting: Sequence[WaitingEvent]) -> list[Subject]:
    found = await _summarise(session, waiting)
    return [_describe_undo(found[one.subject_id]) for one in waiting if one.subject_id in found]


def _describe_undo(found: SessionSummary) -> Subject:
    undo = found.session
    receipt = decode_receipt(undo.receipt)
    caller = make_brief(undo.caller_name)
    is_redo = found.origin is not None and found.origin.is_redo
    kept = f", and kept {count_things(receipt.skipped, 'row')} as they are" if receipt.skipped else ""
    return Subject(
        f"{caller} {'redid' if is_redo else 'undid'} {count_things(receipt.reverted, 'row')}{kept}.",
        f"/undos/{undo.id}",
        {
            "undoSessionId": str(undo.id),
            "sessionId": str(undo.undo_of) if undo.undo_of else None,
            "caller": caller,
            "isRedo": is_redo,
            "reverted": receipt.reverted,
            "skipped": receipt.skipped,
        },
    )


async def _read_proposals(session: AsyncSession, waiting: Sequence[WaitingEvent]) -> list[Subject]:
    found = {one.id: one for one in await list_proposals_by_id(session, _list_ids(waiting))}
    return [_describe_proposal(found[one.subject_id]) for one in waiting if one.subject_id in found]


def _describe_proposal(proposal: Proposal) -> Subject:
    agent, what = make_brief(proposal.agent_name), describe_proposal(proposal)
    return Subject(
        f"{agent}: {what}. Waits for a decision.",
        f"/proposals/{proposal.id}",
        {
            "proposalId": str(proposal.id),
            "agentId": str(proposal.agent_id),
            "agent": agent,
            "summary": what,
            "rows": proposal.row_count,
            "expiresAt": proposal.expires_at.isoformat(),
        },
    )


async def _read_findings(session: AsyncSession, waiting: Sequence[WaitingEvent]) -> list[Subject]:
    found = {one.id: one for one in await list_findings_by_id(session, _list_ids(waiting))}
    return [_describe_finding(found[one.subject_id]) for one in waiting if one.subject_id in found]


def _describe_finding(finding: SentryFinding) -> Subject:
    what = make_brief(finding.title)
    return Subject(
        f"{what}.",
        f"/sentry/{finding.id}",
        {"findingId": str(finding.id), "rule": finding.rule, "severity": finding.severity, "summary": what},
    )


async def _read_versions(session: AsyncSession, waiting: Sequence[WaitingEvent]) -> list[Subject]:
    found = {one.id: one for one in await list_versions_by_id(session, _list_ids(waiting))}
    return [_describe_version(found[one.subject_id]) for one in waiting if one.subject_id in found]


def _describe_version(version: SchemaVersion) -> Subject:
    return Subject(
        describe_version(version),
        f"/schema/{version.number}",
        {
            "version": version.number,
            "cause": version.cause,
            "by": make_brief(version.actor_name) if version.actor_name else None,
            "added": version.added,
            "changed": version.changed,
            "removed": version.removed,
            "sessionId": str(version.session_id) if version.session_id else None,
            "findingId": str(version.finding_id) if version.finding_id else None,
        },
    )


async def _summarise(session: AsyncSession, waiting: Sequence[WaitingEvent]) -> dict[UUID, SessionSummary]:
    found = await queries.list_sessions_by_id(session, _list_ids(waiting))
    return {one.session.id: one for one in await summarise_sessions(session, found)}


def _list_ids(waiting: Sequence[WaitingEvent]) -> list[UUID]:
    return [one.subject_id for one in waiting]


_READERS: Mapping[AlertEventName, ReadSubjects] = {
    AlertEventName.SESSION_FROZEN: _read_frozen,
    AlertEventName.WRITE_REFUSED: _read_refused,
    AlertEventName.UNDO_FINISHED: _read_undos,
    AlertEventName.PROPOSAL_CREATED: _read_proposals,
    AlertEventName.FINDING_CRITICAL: _read_findings,
    AlertEventName.FINDING_WARNING: _read_findings,
    AlertEventName.SCHEMA_CHANGED: _read_versions,
}
