"""Lists what the guard finds in a project, for the page of its settings."""

import asyncio
from collections.abc import Collection, Sequence
from uuid import UUID

from basewarden.connections import ConnectionTargets, GuardedTable, GuardOptions
from basewarden.db import note_waiting
from basewarden.errors import AppError
from basewarden.gateway.api.project import ApiProject
from basewarden.gateway.project_tables import SECONDS
from basewarden.gateway.projects import AnyProject, Projects
from basewarden.policy import GuardRules, format_table
from pgrest import ALL_COLUMNS, DatabaseError, Name, PgrestError, Schema


async def list_guarded_tables(
    projects: Projects, targets: ConnectionTargets, connection_id: UUID
) -> Sequence[GuardedTable] | None:
    """Only tables that the API reaches."""
    note_waiting("a project's tables")
    try:
        async with asyncio.timeout(SECONDS):
            target = await targets.get_target(connection_id)
            project = projects.find(target)
            schema = await (project.find_schema() if isinstance(project, ApiProject) else project.schema())
            if schema is None:
                return None
            rules = await _load_rules(project, target.guard, schema)
    except (AppError, PgrestError, DatabaseError, TimeoutError):
        return None
    names = sorted(
        name for name, table in schema.tables.items() if name[0] in schema.exposed and not table.is_partition
    )
    return [_describe(rules, name, schema.tables[name].columns) for name in names]


async def _load_rules(project: AnyProject, guard: GuardOptions, schema: Schema) -> GuardRules:
    return project.guard.find(guard, schema) or await project.guard.load(guard, schema)


def _describe(rules: GuardRules, name: Name, names: Collection[str]) -> GuardedTable:
    columns = sorted(column for _, column in rules.find_sensitive([(name, ALL_COLUMNS)]))
    return GuardedTable(
        format_table(name),
        columns,
        sorted(rules.find_readers(name)),
        sorted(rules.find_written_by_strangers(name)),
        list(names),
        [column for column in names if rules.is_named_so((name, column))],
    )
