"""Adds proposals to the registry: what agents propose is stored by the gateway, and decided above it."""

from datetime import timedelta

from basewarden.db import Database, Pruner
from basewarden.proposals.claims import Claims
from basewarden.proposals.erasure import ProposalErasure
from basewarden.proposals.export import PROPOSAL_PARTS
from basewarden.proposals.models import Proposal
from basewarden.proposals.pruning import prune_proposals
from basewarden.proposals.service import Proposals
from basewarden.settings import Settings
from basewarden.web import Registry

EXPORT_PARTS = PROPOSAL_PARTS


def wire(registry: Registry) -> None:
    database = registry.get(Database)
    registry.add(Proposals(database, timedelta(hours=registry.get(Settings).proposal_hours)))
    registry.add(Claims(database))


def list_pruners(registry: Registry) -> tuple[Pruner, ...]:
    keep = timedelta(days=registry.get(Settings).keep_journal_days)
    return (Pruner(Proposal.__tablename__, keep, prune_proposals),)


def list_erasure_handlers(_registry: Registry) -> tuple[ProposalErasure, ...]:
    return (ProposalErasure(),)
