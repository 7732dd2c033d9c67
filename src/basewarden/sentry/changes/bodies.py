"""Trials and changes as the API gives them."""

from typing import Any

from basewarden.sentry.changes.service import FixPreview, QuarantinePreview
from basewarden.sentry.models import SentryChange
from basewarden.sentry.scans.storing import show_probe


def fix_body(preview: FixPreview) -> dict[str, Any]:
    trial = preview.trial
    return {
        "sql": trial.sql,
        "closes": trial.closes,
        "reason": trial.reason,
        "breaks": list(preview.breaks),
        "unknown": list(preview.unknown),
        "probesBefore": [show_probe(one) for one in trial.probes_before],
        "probesAfter": [show_probe(one) for one in trial.probes_after],
        "inverse": trial.inverse,
    }


def quarantine_body(preview: QuarantinePreview) -> dict[str, Any]:
    trial = preview.trial
    return {
        "target": trial.target,
        "sql": trial.sql,
        "inverse": trial.inverse,
        "cutOff": ["PUBLIC" if role is None else role for role in trial.cut_off],
        "agents": list(preview.agents),
        "dependents": [{"kind": one.kind, "name": one.name} for one in trial.dependents],
    }


def change_body(change: SentryChange) -> dict[str, Any]:
    return {
        "id": str(change.id),
        "findingId": str(change.finding_id),
        "kind": change.kind,
        "status": change.status,
        "target": change.target,
        "sql": change.sql,
        "inverse": change.inverse,
        "by": change.actor_name,
        "startedAt": change.started_at.isoformat(),
        "appliedAt": change.applied_at.isoformat() if change.applied_at else None,
    }
