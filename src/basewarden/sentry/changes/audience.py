"""Which agents a change may cut off, and what of that cannot be known."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from basewarden.connections import ConnectionTargets
from basewarden.db import Database
from basewarden.sentry.access.closing import API_ROLES
from basewarden.sentry.changes.quarantining import QuarantineTrial
from basewarden.sentry.changes.queries import count_writes_as, list_agents_as
from basewarden.sentry.changes.trying import FixTrial

_WRITES_UNKNOWN: Final = "Writes were not tried, and what the project's own pages ask without Basewarden is not known."
_READS_UNKNOWN: Final = "Of agents, writes are recorded and reads are not."
_NOTHING_TRIED: Final = "No rows were read before and after: only tables and views are tried."


async def list_agents(
    database: Database, targets: ConnectionTargets, connection_id: UUID, trial: QuarantineTrial
) -> Sequence[str]:
    """The names of those whose requests run as a role that is cut off."""
    roles = [one for one in trial.cut_off if one is not None]
    target = await targets.get_target(connection_id)
    async with database.read_only() as session:
        return await list_agents_as(session, connection_id, roles, is_default=target.db_role in roles)


async def list_writers(
    database: Database, targets: ConnectionTargets, connection_id: UUID, trial: FixTrial
) -> list[str]:
    """Sentences: what agents wrote in the last day, as one of the API's roles, to what the fix changes."""
    tables = [f"{state.schema}.{state.name}" for state in trial.before]
    target = await targets.get_target(connection_id)
    is_default = target.db_role in API_ROLES
    async with database.read_only() as session:
        counts = await count_writes_as(session, connection_id, API_ROLES, tables, is_default=is_default)
    return [
        f"{name} wrote to it {count:,} times in the last day, as a role of the API: such writes may be refused."
        for name, count in counts.items()
    ]


def list_unknown(trial: FixTrial) -> list[str]:
    """Sentences: what trying a fix cannot find out."""
    return [*([] if trial.probes_before else [_NOTHING_TRIED]), _WRITES_UNKNOWN, _READS_UNKNOWN]
