"""Stops and releases of sessions and agents, and decisions about writes: who did it, when and why."""

from basewarden.journal.interventions.decisions import WriteDecision, record_decision
from basewarden.journal.interventions.queries import (
    list_agent_interventions,
    list_interventions,
    list_session_interventions,
)
from basewarden.journal.interventions.service import FreezeAction, Interventions, find_freeze
from basewarden.journal.interventions.values import (
    Intervener,
    IntervenerDep,
    describe_intervention,
    describe_reason,
    name_intervener,
)

__all__ = [
    "FreezeAction",
    "Intervener",
    "IntervenerDep",
    "Interventions",
    "WriteDecision",
    "describe_intervention",
    "describe_reason",
    "find_freeze",
    "list_agent_interventions",
    "list_interventions",
    "list_session_interventions",
    "name_intervener",
    "record_decision",
]
